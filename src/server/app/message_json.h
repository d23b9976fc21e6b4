// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "text/chat/conversation.h"

namespace deepwell {

/// Turns of a chat as this server keeps them on disk.
nlohmann::json messages_to_json(const std::vector<Message>& messages);
/// Nothing for what was not written by the above.
std::optional<std::vector<Message>> messages_from_json(const nlohmann::json& list);

}  // namespace deepwell
