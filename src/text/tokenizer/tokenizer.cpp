// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/tokenizer.h"

#include "text/tokenizer/bpe_tokenizer.h"
#include "text/tokenizer/tokenizer_json.h"

namespace deepwell {

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_vocabulary(Vocabulary vocabulary) {
  return BpeTokenizer::make(std::move(vocabulary));
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_json(std::string_view json) {
  DW_TRY(Vocabulary vocabulary, vocabulary_from_json(json));
  return BpeTokenizer::make(std::move(vocabulary));
}

std::string Tokenizer::decode(std::span<const Token> tokens, bool show_control) const {
  std::string text;
  for (const Token token : tokens) text += token_bytes(token, show_control);
  return text;
}

}  // namespace deepwell
