// SPDX-License-Identifier: Apache-2.0
// GET /deepwell/chats: the caller's chats, the latest first; ?q=TEXT: those that have it.
#include "server/app/stored.h"

namespace deepwell {
namespace {

void chats_list(const Call& call) {
  ChatStore* chats = chats_of(call);
  if (chats == nullptr) return;
  std::string text;
  if (const std::string& query = call.request().query; query.starts_with("q="))
    text = http::percent_decode(query.substr(2));
  const Result<nlohmann::json> list = chats->list(call.user, text);
  if (!list) return call.reply_error(to_api_error(list.error()));
  call.reply_json(dump({{"object", "list"}, {"data", *list}}));
}

}  // namespace

Endpoint endpoint_api_chats() { return {"GET", "/deepwell/chats", Access::kUser, chats_list}; }

}  // namespace deepwell
