// SPDX-License-Identifier: Apache-2.0
// DELETE /deepwell/chats/{id}: forgets a chat.
#include "server/app/stored.h"

namespace deepwell {
namespace {

void chat_delete(const Call& call) {
  ChatStore* chats = chats_of(call);
  if (chats == nullptr) return;
  const std::string& id = call.request().captured.at("id");
  if (const Status removed = chats->remove(call.user, id); !removed)
    return call.reply_error(to_api_error(removed.error()));
  call.reply_json(dump({{"id", id}, {"object", "chat"}, {"deleted", true}}));
}

}  // namespace

Endpoint endpoint_api_chat_delete() { return {"DELETE", "/deepwell/chats/{id}", Access::kUser, chat_delete}; }

}  // namespace deepwell
