// SPDX-License-Identifier: Apache-2.0
#include "server/app/message_json.h"

namespace deepwell {
namespace {
using nlohmann::json;

bool read(const json& object, const char* name, std::string& out) {
  const auto found = object.find(name);
  if (found == object.end()) return true;
  if (!found->is_string()) return false;
  out = found->get<std::string>();
  return true;
}

bool read(const json& object, const char* name, std::optional<std::string>& out) {
  return !object.contains(name) || read(object, name, out.emplace());
}

bool read_calls(const json& object, std::vector<ToolCall>& out) {
  const auto found = object.find("tool_calls");
  if (found == object.end()) return true;
  if (!found->is_array()) return false;
  for (const json& one : *found) {
    ToolCall& call = out.emplace_back();
    if (!one.is_object() || !read(one, "id", call.id) || !read(one, "name", call.name) ||
        !read(one, "arguments", call.arguments))
      return false;
  }
  return true;
}

}  // namespace

json messages_to_json(const std::vector<Message>& messages) {
  json list = json::array();
  for (const Message& message : messages) {
    json one = {{"role", message.role}, {"content", message.content}};
    if (message.name) one["name"] = *message.name;
    if (message.reasoning) one["reasoning"] = *message.reasoning;
    if (!message.tool_call_id.empty()) one["tool_call_id"] = message.tool_call_id;
    if (message.is_prefix) one["prefix"] = true;
    for (const ToolCall& call : message.tool_calls)
      one["tool_calls"].push_back({{"id", call.id}, {"name", call.name}, {"arguments", call.arguments}});
    list.push_back(std::move(one));
  }
  return list;
}

std::optional<std::vector<Message>> messages_from_json(const json& list) {
  if (!list.is_array()) return std::nullopt;
  std::vector<Message> messages;
  for (const json& one : list) {
    if (!one.is_object()) return std::nullopt;
    Message& message = messages.emplace_back();
    if (!read(one, "role", message.role) || !read(one, "content", message.content) ||
        !read(one, "name", message.name) || !read(one, "reasoning", message.reasoning) ||
        !read(one, "tool_call_id", message.tool_call_id) || !read_calls(one, message.tool_calls))
      return std::nullopt;
    message.is_prefix = one.contains("prefix");
  }
  return messages;
}

}  // namespace deepwell
