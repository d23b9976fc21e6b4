// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "text/tokenizer/merger.h"
#include "text/tokenizer/piece_cache.h"
#include "text/tokenizer/pretokenizer.h"
#include "text/tokenizer/special_tokens.h"
#include "text/tokenizer/text_index.h"
#include "text/tokenizer/tokenizer.h"

namespace deepwell {

/// The Tokenizer there is: byte-level BPE over a checked vocabulary.
class BpeTokenizer final : public Tokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> make(Vocabulary vocabulary);

  std::vector<Token> encode(std::string_view text, EncodeOptions options) const override;
  std::string_view token_bytes(Token token, bool show_control) const override;
  Token size() const override { return static_cast<Token>(vocabulary_.tokens.size()); }
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  std::optional<Token> find(std::string_view text) const override;
  bool ends_generation(Token token) const override;

 private:
  class Encoder;
  /// Lends encoders out, one a call. What a thread's encoder has learned of pieces serves the next call.
  class EncoderPool {
   public:
    std::unique_ptr<Encoder> take(const BpeTokenizer& tokenizer);
    void give(std::unique_ptr<Encoder> encoder);
    EncoderPool();
    ~EncoderPool();

   private:
    std::mutex mutex_;
    std::vector<std::unique_ptr<Encoder>> idle_;
  };

  explicit BpeTokenizer(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  Status check_tokens();
  Status check_ids() const;
  Status load_bytes();
  Status load_merges();
  Status load_pretokenizer();
  void load_end_tokens();
  TokenType type_of(Token token) const;
  bool is_special(Token token) const;
  std::string_view bytes_of(Token token) const;

  Vocabulary vocabulary_;
  std::string bytes_;                  // of all tokens, one after the other
  std::vector<std::size_t> bytes_at_;  // (tokens + 1)
  TextIndex by_bytes_;
  SpecialTokens special_, nfc_special_;  // looked for in the text as given; as composed
  MergeTable merges_;
  ByteTokens byte_tokens_;
  pretokenizer::Sequence pieces_;
  std::vector<Token> ends_;
  bool ignore_merges_ = false, add_bos_ = false, add_eos_ = false;
  mutable EncoderPool encoders_;
};

}  // namespace deepwell
