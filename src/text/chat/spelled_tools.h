// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "text/chat/conversation.h"
#include "text/reply/reply_parser.h"

namespace deepwell {

/// Whether a model of that language was taught no calls of tools, but the conversation has some: offered,
/// made earlier, or answered.
bool wants_spelled_tools(ReplyLanguage language, const Conversation& conversation);

/// Where a model is told of tools that its chat language has no place for.
enum class SpelledIn { kSystem, kFirstUser };

/// The conversation without tools, in words that any model knows: what is offered, and how to call it, stands
/// in its first system message (a new one, if there is none) or before its first user's words; earlier calls
/// are text of the assistant's, results a user's. Calls are written as Hermes' models do, so that is how the
/// reply is read (ReplyLanguage::kHermes).
Conversation with_spelled_tools(const Conversation& conversation, SpelledIn where = SpelledIn::kSystem);

}  // namespace deepwell
