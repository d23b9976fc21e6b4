// SPDX-License-Identifier: Apache-2.0
// GET /deepwell/chats/{id}: one chat with its messages.
#include "server/app/stored.h"

namespace deepwell {
namespace {

void chat(const Call& call) {
  ChatStore* chats = chats_of(call);
  if (chats == nullptr) return;
  const Result<nlohmann::json> found = chats->find(call.user, call.request().captured.at("id"));
  if (!found) return call.reply_error(to_api_error(found.error()));
  call.reply_json(dump(*found));
}

}  // namespace

Endpoint endpoint_api_chat() { return {"GET", "/deepwell/chats/{id}", Access::kUser, chat}; }

}  // namespace deepwell
