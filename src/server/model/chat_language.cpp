// SPDX-License-Identifier: Apache-2.0
#include "server/model/chat_language.h"

#include <fmt/ranges.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "text/chat/template_encoder.h"
#include "text/deepseek/deepseek.h"

namespace deepwell {
namespace {

// What a model without a template of its own gets when its vocabulary has ChatML's turns.
constexpr const char* kChatMl =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' "
    "+ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

constexpr std::uintmax_t kMaxTemplateBytes = 1 << 20;

/// Every text that becomes one token when special tokens are parsed.
std::vector<std::string> special_texts(const Tokenizer& tokenizer) {
  std::vector<std::string> texts;
  const std::vector<TokenType>& types = tokenizer.vocabulary().types;
  for (std::size_t i = 0; i < types.size(); ++i)
    if (types[i] == TokenType::kControl || types[i] == TokenType::kUserDefined)
      texts.emplace_back(tokenizer.token_bytes(static_cast<Token>(i), /*show_control=*/true));
  return texts;
}

}  // namespace

std::string chat_template_names() { return fmt::format("{}", fmt::join(deepseek_languages(), ", ")); }

Result<std::string> chat_template_of(const std::string& flag) {
  if (flag.empty() || make_deepseek_encoder(flag) != nullptr) return flag;
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(flag, error);
  std::ifstream file(flag, std::ios::binary);
  if (error || !file || size == 0 || size > kMaxTemplateBytes) {
    return Error{
        ErrorCode::kNotFound,
        fmt::format("--chat-template '{}' is neither a language ({}) nor a readable file of at most 1 MiB",
                    flag, chat_template_names())};
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Result<std::unique_ptr<const PromptEncoder>> chat_language_of(const std::string& chosen,
                                                              const Metadata& metadata,
                                                              const Tokenizer& tokenizer) {
  using Encoder = std::unique_ptr<const PromptEncoder>;
  if (Encoder named = make_deepseek_encoder(chosen)) return named;
  std::string source = chosen;
  if (source.empty()) {
    source = metadata.text("tokenizer.chat_template").value_or("");
    const std::string architecture = metadata.text("general.architecture").value_or("");
    const std::string name = metadata.text("general.name").value_or("");
    const std::string_view own =
        deepseek_language_of({architecture, name, source,
                              [&](std::string_view text) { return tokenizer.find(text).has_value(); }});
    if (!own.empty()) return Encoder(make_deepseek_encoder(own));
  }
  if (source.empty() && tokenizer.find("<|im_start|>")) source = kChatMl;
  if (source.empty()) return Encoder();
  DW_TRY(std::unique_ptr<ChatTemplate> compiled, ChatTemplate::compile(source, special_texts(tokenizer)));
  const auto text_of = [&](std::optional<Token> token) {
    return token ? std::string(tokenizer.token_bytes(*token, true)) : std::string();
  };
  const Vocabulary& words = tokenizer.vocabulary();
  return Encoder(make_template_encoder(std::move(compiled), source, text_of(words.bos), text_of(words.eos)));
}

}  // namespace deepwell
