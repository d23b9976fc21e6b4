// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/bpe_tokenizer.h"

#include <algorithm>

#include "text/tokenizer/nfc.h"

namespace deepwell {

/// One call's working state: a piece's tokens come from the cache, or are merged and kept there.
class BpeTokenizer::Encoder final : public pretokenizer::PieceSink {
 public:
  explicit Encoder(const BpeTokenizer& tokenizer)
      : tokenizer_(tokenizer), merger_(tokenizer.merges_, tokenizer.byte_tokens_) {}

  void encode(std::string_view text, std::vector<Token>& out) {
    out_ = &out;
    tokenizer_.pieces_.cut(text, *this);
  }

 private:
  void take(std::span<const std::string_view> pieces) override {
    for (const std::string_view piece : pieces) add_piece(piece);
  }

  void add_piece(std::string_view piece) {
    if (piece.size() == 1) {
      const Token token = tokenizer_.byte_tokens_.token[static_cast<unsigned char>(piece[0])];
      if (token != ByteTokens::kNone) return out_->push_back(token);
    }
    if (piece.size() > PieceCache::kPieceBytesMax) return merge(piece);
    const std::size_t place = cache_.place(piece);
    if (const auto known = cache_.find(place, piece); !known.empty()) {
      out_->insert(out_->end(), known.begin(), known.end());
      return;
    }
    const std::size_t before = out_->size();
    merge(piece);
    cache_.keep(place, piece, std::span<const Token>(*out_).subspan(before));
  }

  void merge(std::string_view piece) {
    if (tokenizer_.ignore_merges_)
      if (const auto token = tokenizer_.find(piece); token && !tokenizer_.is_special(*token))
        return out_->push_back(*token);
    merger_.merge(piece, *out_);
  }

  const BpeTokenizer& tokenizer_;
  Merger merger_;
  PieceCache cache_;
  std::vector<Token>* out_ = nullptr;
};

BpeTokenizer::EncoderPool::EncoderPool() = default;
BpeTokenizer::EncoderPool::~EncoderPool() = default;

std::unique_ptr<BpeTokenizer::Encoder> BpeTokenizer::EncoderPool::take(const BpeTokenizer& tokenizer) {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto encoder = std::move(idle_.back());
      idle_.pop_back();
      return encoder;
    }
  }
  return std::make_unique<Encoder>(tokenizer);
}

void BpeTokenizer::EncoderPool::give(std::unique_ptr<Encoder> encoder) {
  constexpr std::size_t kIdleMax = 16;  // of about 1 MiB each
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kIdleMax) idle_.push_back(std::move(encoder));
}

std::vector<Token> BpeTokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::vector<Token> out;
  out.reserve(text.size() / 3 + 4);
  auto encoder = encoders_.take(*this);
  // Calls `plain` with the texts between special tokens.
  const auto split = [&](std::string_view whole, const SpecialTokens& special, auto plain) {
    std::size_t at = 0;
    while (options.parse_special && !special.empty()) {
      const SpecialTokens::Match match = special.find(whole, at);
      if (match.token < 0) break;
      plain(whole.substr(at, match.begin - at));
      out.push_back(match.token);
      at = match.end;
    }
    plain(whole.substr(at));
  };
  std::string composed;
  split(text, special_, [&](std::string_view part) {
    if (!vocabulary_.nfc) return encoder->encode(part, out);
    split(to_nfc(part, composed), nfc_special_, [&](std::string_view plain) { encoder->encode(plain, out); });
  });
  encoders_.give(std::move(encoder));
  if (options.add_special && add_bos_ && vocabulary_.bos && (out.empty() || out.front() != *vocabulary_.bos))
    out.insert(out.begin(), *vocabulary_.bos);
  if (options.add_special && add_eos_ && vocabulary_.eos) out.push_back(*vocabulary_.eos);
  return out;
}

std::string_view BpeTokenizer::bytes_of(Token token) const {
  const auto i = static_cast<std::size_t>(token);
  return std::string_view(bytes_).substr(bytes_at_[i], bytes_at_[i + 1] - bytes_at_[i]);
}

TokenType BpeTokenizer::type_of(Token token) const {
  return vocabulary_.types.empty() ? TokenType::kNormal : vocabulary_.types[static_cast<std::size_t>(token)];
}

bool BpeTokenizer::is_special(Token token) const {
  const TokenType type = type_of(token);
  return type == TokenType::kControl || type == TokenType::kUserDefined || type == TokenType::kUnknown;
}

std::string_view BpeTokenizer::token_bytes(Token token, bool show_control) const {
  if (token < 0 || token >= size()) return {};
  const TokenType type = type_of(token);
  if (!show_control && (type == TokenType::kControl || type == TokenType::kUnknown)) return {};
  return bytes_of(token);
}

std::optional<Token> BpeTokenizer::find(std::string_view text) const {
  const Token token = by_bytes_.find(text, [&](Token t) { return bytes_of(t); });
  return token < 0 ? std::nullopt : std::optional<Token>(token);
}

bool BpeTokenizer::ends_generation(Token token) const {
  return std::find(ends_.begin(), ends_.end(), token) != ends_.end();
}

}  // namespace deepwell
