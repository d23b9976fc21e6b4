// SPDX-License-Identifier: Apache-2.0
// PATCH /deepwell/chats/{id}: makes a chat, or changes what the body names.
#include "server/app/stored.h"

namespace deepwell {
namespace {

void chat_change(const Call& call) {
  ChatStore* chats = chats_of(call);
  if (chats == nullptr) return;
  const std::string id = call.request().captured.at("id");
  if (!is_chat_id(id))
    return call.reply_error(invalid_field("id", "a chat's name is 1 to 64 letters, digits, '-' or '_'"));
  const ApiResult<ChatChange> change = parse_chat_change(call.take_body());
  if (!change) return call.reply_error(change.error());
  if (const Status done = chats->change(call.user, id, *change); !done)
    return call.reply_error(to_api_error(done.error()));
  call.reply_json(dump({{"id", id}, {"object", "chat"}}));
}

}  // namespace

Endpoint endpoint_api_chat_change() { return {"PATCH", "/deepwell/chats/{id}", Access::kUser, chat_change}; }

}  // namespace deepwell
