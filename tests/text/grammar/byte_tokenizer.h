// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "text/tokenizer/tokenizer.h"

namespace deepwell {

/// 0..255 are bytes, then words that JSON often has, then control tokens; the longest match wins.
class ByteTokenizer final : public Tokenizer {
 public:
  static constexpr Token kFirstWord = 256;
  /// `more`: control tokens after its own.
  explicit ByteTokenizer(const std::vector<const char*>& more = {}) {
    for (int byte = 0; byte < 256; ++byte) texts_.emplace_back(1, static_cast<char>(byte));
    for (const char* word : {"{\"", "\":",  "\",\"", "\"}",   "[]",   "{}",  "null", "true",   "false", "12",
                             "0.5", " the", "你好",  "\\u00", "\n  ", "foo", "bar",  "\": \"", "}}",    "e1"})
      texts_.emplace_back(word);
    first_control_ = size();
    for (const char* control : {"<|tool|>", "<|end|>", "<|user|>"}) texts_.emplace_back(control);
    for (const char* control : more) texts_.emplace_back(control);
    vocabulary_.tokens = texts_;
    vocabulary_.types.assign(texts_.size(), TokenType::kNormal);
    for (Token token = first_control_; token < size(); ++token)
      vocabulary_.types[static_cast<std::size_t>(token)] = TokenType::kControl;
  }
  Token tool() const { return first_control_; }
  Token end() const { return first_control_ + 1; }

  std::vector<Token> encode(std::string_view text, EncodeOptions options) const override {
    std::vector<Token> tokens;
    while (!text.empty()) {
      Token best = static_cast<unsigned char>(text[0]);
      for (Token token = kFirstWord; token < (options.parse_special ? size() : first_control_); ++token) {
        const std::string& candidate = texts_[static_cast<std::size_t>(token)];
        if (text.starts_with(candidate) && candidate.size() > texts_[static_cast<std::size_t>(best)].size())
          best = token;
      }
      tokens.push_back(best);
      text.remove_prefix(texts_[static_cast<std::size_t>(best)].size());
    }
    return tokens;
  }
  std::string_view token_bytes(Token token, bool show_control = false) const override {
    if (token < 0 || token >= size() || (!show_control && token >= first_control_)) return {};
    return texts_[static_cast<std::size_t>(token)];
  }
  Token size() const override { return static_cast<Token>(texts_.size()); }
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  std::optional<Token> find(std::string_view text) const override {
    for (Token token = 0; token < size(); ++token)
      if (texts_[static_cast<std::size_t>(token)] == text) return token;
    return std::nullopt;
  }
  bool ends_generation(Token token) const override { return token == end() || token == end() + 1; }

 private:
  std::vector<std::string> texts_;
  Token first_control_ = 0;
  Vocabulary vocabulary_;
};

}  // namespace deepwell
