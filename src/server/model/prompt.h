// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/model/served_model.h"
#include "text/chat/conversation.h"

namespace deepwell {

/// A chat as tokens, and how the reply to it is to be read.
struct ChatTokens {
  std::vector<Token> tokens;
  ReplyStart start;
};

/// Template text becomes special tokens, users' text never does; a BOS comes once, whether the template
/// writes it or the vocabulary asks for it. Tools that the language has no place for are spelled out. Errors:
/// kUnsupported (no chat language), kInvalid (what the language or the template says).
Result<ChatTokens> encode_chat(const ServedModel& model, const Conversation& conversation);

/// How the reply to such a chat is written: in the model's language, or as Hermes' models do where tools were
/// spelled out.
ReplyLanguage reply_language_of(const ServedModel& model, const Conversation& conversation);

/// A prompt taken as it is: special tokens written in it count, as in every raw completion API.
std::vector<Token> encode_raw(const Tokenizer& tokenizer, std::string_view text);

/// What stands before and after a gap, in the order the vocabulary's marks for it want; what a user wrote
/// stays text. Errors: kUnsupported (the vocabulary has no such marks).
Result<std::vector<Token>> encode_gap(const Tokenizer& tokenizer, std::string_view before,
                                      std::string_view after);

/// The parts joined as if tokenized in one go, but special tokens only where the template wrote them.
std::vector<Token> encode_parts(const Tokenizer& tokenizer, std::span<const PromptPart> parts);

}  // namespace deepwell
