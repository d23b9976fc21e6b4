// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/request/api_error.h"

namespace deepwell {

/// What of a chat is to be other than it is. What is not given stays.
struct ChatChange {
  std::optional<std::string> title;
  std::optional<std::int64_t> created_ms, updated_ms;  ///< since the epoch, as the client tells time
  std::optional<std::string> state;                    ///< JSON that only the client reads
  struct Message {
    std::string id;
    std::string body;  ///< JSON that only the client reads
    std::string text;  ///< what a search looks through
  };
  std::vector<Message> messages;  ///< new ones, and those that take the place of their namesakes
};

/// The change that a PATCH asks for.
ApiResult<ChatChange> parse_chat_change(std::string_view body);
/// What chats and messages may be called: 1 to 64 letters, digits, '-' and '_'.
bool is_chat_id(std::string_view id);

}  // namespace deepwell
