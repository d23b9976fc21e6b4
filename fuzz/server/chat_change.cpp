// SPDX-License-Identifier: Apache-2.0
// Any bytes as a change of a chat: one whose parts are JSON within their limits, or a refusal with a message.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/check.h"
#include "server/request/chat_change.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace deepwell;
  const auto change = parse_chat_change({reinterpret_cast<const char*>(data), size});
  if (!change.ok()) {
    DW_CHECK(change.error().status == 400);
    DW_CHECK(nlohmann::json::accept(to_json(change.error())));
    return 0;
  }
  DW_CHECK(change->title.value_or("").size() <= 1000);
  DW_CHECK(change->created_ms.value_or(0) >= 0 && change->updated_ms.value_or(0) >= 0);
  if (change->state) DW_CHECK(nlohmann::json::accept(*change->state));
  for (const ChatChange::Message& message : change->messages) {
    DW_CHECK(is_chat_id(message.id));
    DW_CHECK(nlohmann::json::parse(message.body)["id"] == message.id);
  }
  return 0;
}
