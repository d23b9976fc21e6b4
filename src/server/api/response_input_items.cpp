// SPDX-License-Identifier: Apache-2.0
// GET /v1/responses/{id}/input_items: what a response answered, earlier turns and all. Source: OpenAI API
// reference, "List input items".
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "server/app/stored.h"

namespace deepwell {
namespace {
using nlohmann::json;

constexpr std::int64_t kLimitMost = 100, kLimitUsual = 20;

/// A message's items in the order in which they were said. Ids are made of the place: they stay the same.
void add_items(const Message& message, const std::string& response, json& items) {
  const auto id = [&](const char* kind) { return fmt::format("{}_{}_{}", kind, response, items.size()); };
  if (message.role == "tool") {
    items.push_back({{"id", id("fco")},
                     {"type", "function_call_output"},
                     {"call_id", message.tool_call_id},
                     {"output", message.content},
                     {"status", "completed"}});
    return;
  }
  const bool answer = message.role == "assistant";
  if (message.reasoning && !message.reasoning->empty())
    items.push_back({{"id", id("rs")},
                     {"type", "reasoning"},
                     {"summary", json::array()},
                     {"content", {{{"type", "reasoning_text"}, {"text", *message.reasoning}}}},
                     {"status", "completed"}});
  if (!answer || !message.content.empty()) {
    json part = {{"type", answer ? "output_text" : "input_text"}, {"text", message.content}};
    if (answer) part["annotations"] = json::array();
    items.push_back({{"id", id("msg")},
                     {"type", "message"},
                     {"role", message.role},
                     {"content", json::array({std::move(part)})},
                     {"status", "completed"}});
  }
  for (const ToolCall& call : message.tool_calls)
    items.push_back({{"id", id("fc")},
                     {"type", "function_call"},
                     {"call_id", call.id},
                     {"name", call.name},
                     {"arguments", call.arguments},
                     {"status", "completed"}});
}

/// The value of a query's parameter, or "".
std::string parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name)
      return http::percent_decode(pair.substr(equals + 1));
  }
  return {};
}

void input_items(const Call& call) {
  const std::string& id = call.request().captured.at("id");
  const std::string_view query = call.request().query;
  std::int64_t limit = kLimitUsual;
  if (const std::string text = parameter(query, "limit"); !text.empty()) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (error != std::errc() || end != text.data() + text.size() || limit < 1 || limit > kLimitMost)
      return call.reply_error(
          invalid_field("limit", fmt::format("'limit' must be a number from 1 to {}", kLimitMost)));
  }
  const std::string order = parameter(query, "order"), after = parameter(query, "after");
  if (!order.empty() && order != "asc" && order != "desc")
    return call.reply_error(invalid_field("order", "'order' must be asc or desc"));
  const auto found = call.service.responses.get(id, call.user);
  if (!found || found->messages.empty()) return reply_no_response(call, id);
  json items = json::array();
  for (std::size_t i = 0; i + 1 < found->messages.size(); ++i)  // the last is the answer
    add_items(found->messages[i], id, items);
  if (order != "asc") std::reverse(items.begin(), items.end());
  auto from = items.begin();
  if (!after.empty()) {
    from = std::find_if(items.begin(), items.end(), [&](const json& item) { return item["id"] == after; });
    if (from == items.end())
      return call.reply_error(invalid_field("after", "'after' is the id of none of the items"));
    ++from;
  }
  const auto to = from + std::min<std::ptrdiff_t>(items.end() - from, limit);
  const json nothing = nullptr;
  call.reply_json(dump({{"object", "list"},
                        {"data", std::vector<json>(from, to)},
                        {"first_id", from == to ? nothing : (*from)["id"]},
                        {"last_id", from == to ? nothing : (*(to - 1))["id"]},
                        {"has_more", to != items.end()}}));
}

}  // namespace

Endpoint endpoint_api_response_input_items() {
  return {"GET", "/v1/responses/{id}/input_items", Access::kUser, input_items};
}

}  // namespace deepwell
