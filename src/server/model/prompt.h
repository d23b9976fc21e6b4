// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/model/served_model.h"

namespace deepwell {

/// One turn of a chat.
struct Message {
  std::string role;     ///< "system", "developer", "user", "assistant"
  std::string content;  ///< any bytes; broken UTF-8 becomes U+FFFD in the prompt
  std::optional<std::string> name{};
  std::optional<std::string> reasoning{};  ///< an earlier turn's thinking, for templates that read it
};

/// A whole chat, ready for a template.
struct ChatPrompt {
  std::vector<Message> messages;
  bool add_generation_prompt = true;
  std::string template_arguments;  ///< a JSON object of more template variables, or ""
};

/// Template text becomes special tokens, users' text never does; a BOS comes once, whether the template
/// writes it or the vocabulary asks for it. Errors: kUnsupported (no template), kInvalid (the template's
/// words).
Result<std::vector<Token>> encode_chat(const ServedModel& model, const ChatPrompt& prompt);

/// A prompt taken as it is: special tokens written in it count, as in every raw completion API.
std::vector<Token> encode_raw(const Tokenizer& tokenizer, std::string_view text);

/// The parts joined as if tokenized in one go, but special tokens only where the template wrote them.
std::vector<Token> encode_parts(const Tokenizer& tokenizer, std::span<const PromptPart> parts);

}  // namespace deepwell
