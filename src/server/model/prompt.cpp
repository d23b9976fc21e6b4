// SPDX-License-Identifier: Apache-2.0
#include "server/model/prompt.h"

#include <optional>

#include "text/chat/spelled_tools.h"

namespace deepwell {
namespace {
bool is_special(const Vocabulary& vocabulary, Token token) {
  if (token < 0 || static_cast<std::size_t>(token) >= vocabulary.types.size()) return false;
  const TokenType type = vocabulary.types[static_cast<std::size_t>(token)];
  return type == TokenType::kControl || type == TokenType::kUserDefined;
}

/// The BOS that this vocabulary puts before a text, if any.
std::optional<Token> bos_before_text(const Tokenizer& tokenizer) {
  const std::optional<Token> bos = tokenizer.vocabulary().bos;
  const std::vector<Token> around = tokenizer.encode("", {.parse_special = false, .add_special = true});
  if (bos && !around.empty() && around.front() == *bos) return bos;
  return std::nullopt;
}

void ensure_one_bos(const Tokenizer& tokenizer, std::vector<Token>& tokens) {
  const std::optional<Token> bos = bos_before_text(tokenizer);
  if (bos && (tokens.empty() || tokens.front() != *bos)) tokens.insert(tokens.begin(), *bos);
}

Result<EncodedPrompt> encoded(const PromptEncoder& chat, const Conversation& conversation) {
  if (!wants_spelled_tools(chat.reply_language(), conversation)) return chat.encode(conversation);
  Result<EncodedPrompt> prompt = chat.encode(with_spelled_tools(conversation));
  if (prompt) return prompt;
  // Some templates take no system message.
  Result<EncodedPrompt> other = chat.encode(with_spelled_tools(conversation, SpelledIn::kFirstUser));
  return other ? std::move(other) : std::move(prompt);
}

}  // namespace

std::vector<Token> encode_parts(const Tokenizer& tokenizer, std::span<const PromptPart> parts) {
  const Vocabulary& vocabulary = tokenizer.vocabulary();
  std::vector<Token> out;
  // Ordinary text that is not cut by a special token is tokenized in one go, whoever wrote it: a template's
  // "\n" and a user's leading "\n" may be one token, as they were when the model learned.
  std::string plain;
  const auto flush = [&] {
    if (plain.empty()) return;
    const std::vector<Token> tokens = tokenizer.encode(plain, {.parse_special = false, .add_special = false});
    out.insert(out.end(), tokens.begin(), tokens.end());
    plain.clear();
  };
  for (const PromptPart& part : parts) {
    if (!part.from_template) {
      plain += part.text;
      continue;
    }
    const std::vector<Token> tokens =
        tokenizer.encode(part.text, {.parse_special = true, .add_special = false});
    std::size_t first = tokens.size(), last = tokens.size();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (!is_special(vocabulary, tokens[i])) continue;
      if (first == tokens.size()) first = i;
      last = i;
    }
    if (first == tokens.size()) {
      plain += part.text;
      continue;
    }
    for (std::size_t i = 0; i < first; ++i) plain += tokenizer.token_bytes(tokens[i]);
    flush();
    out.insert(out.end(), tokens.begin() + static_cast<std::ptrdiff_t>(first),
               tokens.begin() + static_cast<std::ptrdiff_t>(last) + 1);
    for (std::size_t i = last + 1; i < tokens.size(); ++i) plain += tokenizer.token_bytes(tokens[i]);
  }
  flush();
  return out;
}

Result<ChatTokens> encode_chat(const ServedModel& model, const Conversation& conversation) {
  if (model.chat == nullptr) {
    return Error{ErrorCode::kUnsupported,
                 "the model '" + model.id +
                     "' has no chat template; send a raw prompt to /v1/completions, or "
                     "load a model that was made for chat"};
  }
  DW_TRY(const EncodedPrompt prompt, encoded(*model.chat, conversation));
  ChatTokens chat{encode_parts(*model.tokenizer, prompt.parts), prompt.start};
  ensure_one_bos(*model.tokenizer, chat.tokens);
  return chat;
}

ReplyLanguage reply_language_of(const ServedModel& model, const Conversation& conversation) {
  const ReplyLanguage own = model.chat->reply_language();
  const bool called = !conversation.tools.empty() && conversation.tool_choice.kind != ToolChoice::Kind::kNone;
  return called && wants_spelled_tools(own, conversation) ? ReplyLanguage::kHermes : own;
}

std::vector<Token> encode_raw(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<Token> tokens = tokenizer.encode(text, {.parse_special = true, .add_special = false});
  ensure_one_bos(tokenizer, tokens);
  return tokens;
}

Result<std::vector<Token>> encode_gap(const Tokenizer& tokenizer, std::string_view before,
                                      std::string_view after) {
  const Vocabulary& vocabulary = tokenizer.vocabulary();
  std::optional<Token> prefix = vocabulary.fim_prefix, suffix = vocabulary.fim_suffix,
                       middle = vocabulary.fim_middle;
  // DeepSeek's: begin, what is before, hole, what is after, end. Source: DeepSeek-Coder's README.
  const std::optional<Token> begin = tokenizer.find("<｜fim▁begin｜>"),
                             hole = tokenizer.find("<｜fim▁hole｜>"), end = tokenizer.find("<｜fim▁end｜>");
  if (begin && hole && end) {
    prefix = begin;
    suffix = hole;
    middle = end;
  }
  if (!prefix || !suffix || !middle)
    return Error{ErrorCode::kUnsupported, "this model's vocabulary has no marks for filling a gap"};
  std::vector<Token> tokens{*prefix};
  const auto add = [&](std::string_view text, Token then) {
    const std::vector<Token> more = tokenizer.encode(text, {.parse_special = false, .add_special = false});
    tokens.insert(tokens.end(), more.begin(), more.end());
    tokens.push_back(then);
  };
  add(before, *suffix);
  add(after, *middle);
  ensure_one_bos(tokenizer, tokens);
  return tokens;
}

}  // namespace deepwell
