// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/chat/chat_template.h"
#include "text/chat/conversation.h"
#include "text/reply/reply_parser.h"

namespace deepwell {

struct EncodedPrompt {
  std::vector<PromptPart> parts;  ///< special tokens where from_template, plain text elsewhere
  ReplyStart start;               ///< what the prompt left open: hand it to the parser of the reply
};

/// A model's chat language, the part that is written: a conversation becomes a prompt.
/// Immutable; safe to share between threads.
class PromptEncoder {
 public:
  virtual ~PromptEncoder() = default;
  virtual std::string_view name() const = 0;         ///< "deepseek-v3.1", "template", ...
  virtual ReplyLanguage reply_language() const = 0;  ///< how the model answers
  virtual bool can_think() const = 0;                ///< Conversation::thinking changes something
  /// Errors: kInvalid with a line for the client ("messages[3]: ...").
  virtual Result<EncodedPrompt> encode(const Conversation& conversation) const = 0;
};

}  // namespace deepwell
