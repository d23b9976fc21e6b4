// SPDX-License-Identifier: Apache-2.0
#include "server/request/chat_change.h"

#include <fmt/format.h>

#include "server/request/json_reader.h"

namespace deepwell {
namespace {
constexpr std::size_t kTitleBytesMax = 1000, kStateBytesMax = 64 << 10;
constexpr std::size_t kMessageBytesMax = 8U << 20;  // a message holds its attachments
constexpr std::int64_t kTimeMax = std::int64_t{1} << 53;

ApiResult<ChatChange::Message> parse_message(const Json& message, const std::string& where) {
  if (!message.is_object()) return invalid_field(where, fmt::format("'{}' must be an object", where));
  ChatChange::Message out;
  const auto id = message.find("id");
  if (id == message.end() || !id->is_string() || !is_chat_id(id->get<std::string>()))
    return invalid_field(where + ".id",
                         fmt::format("'{}.id' must be 1 to 64 letters, digits, '-' or '_'", where));
  out.id = id->get<std::string>();
  out.body = message.dump();
  if (out.body.size() > kMessageBytesMax)
    return invalid_field(
        where, fmt::format("'{}' has {} bytes; the most is {}", where, out.body.size(), kMessageBytesMax));
  if (const auto content = message.find("content"); content != message.end() && content->is_string())
    out.text = content->get<std::string>();
  return out;
}
}  // namespace

bool is_chat_id(std::string_view id) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  return !id.empty() && id.size() <= 64 && id.find_first_not_of(kAllowed) == std::string_view::npos;
}

ApiResult<ChatChange> parse_chat_change(std::string_view text) {
  const ApiResult<Json> body = parse_body(text);
  if (!body) return body.error();
  JsonReader reader(*body, "");
  ChatChange change;
  change.title = reader.text("title");
  change.created_ms = reader.integer("created", 0, kTimeMax);
  change.updated_ms = reader.integer("updated", 0, kTimeMax);
  if (change.title && change.title->size() > kTitleBytesMax)
    reader.fail("title", fmt::format("'title' has more than {} bytes", kTitleBytesMax));
  if (const Json* state = reader.object("state"); state != nullptr) {
    change.state = state->dump();
    if (change.state->size() > kStateBytesMax)
      reader.fail("state", fmt::format("'state' has more than {} bytes", kStateBytesMax));
  }
  const Json* messages = reader.array("messages");
  reader.finish();
  if (!reader.ok()) return reader.error();
  if (messages == nullptr) return change;
  for (std::size_t i = 0; i < messages->size(); ++i) {
    ApiResult<ChatChange::Message> message = parse_message((*messages)[i], fmt::format("messages[{}]", i));
    if (!message) return message.error();
    change.messages.push_back(std::move(*message));
  }
  return change;
}

}  // namespace deepwell
