// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer/merge_table.h"

namespace deepwell {

/// The tokens that single bytes start as. Vocabularies may lack some bytes (DeepSeek-LLM lacks the 13 that
/// never occur in UTF-8). Such a byte is dropped, as Hugging Face does, except that one of those 13, which it
/// cannot be given, becomes U+FFFD.
struct ByteTokens {
  static constexpr Token kNone = -1;
  std::array<Token, 256> token{};
};

/// Byte pair encoding of one piece at a time: again and again the pair of the lowest rank, the leftmost of
/// equals, until none merges. Holds scratch memory, so one thread at a time.
class Merger {
 public:
  Merger(const MergeTable& merges, const ByteTokens& bytes) : merges_(merges), bytes_(bytes) {}

  /// Appends the tokens of `piece`. O(n^2) with a tiny constant up to kShort bytes, then O(n log n).
  void merge(std::string_view piece, std::vector<Token>& out);

 private:
  static constexpr std::size_t kShort = 84;
  static constexpr std::size_t kPieceBytesMax = 1U << 28;  // longer ones are cut, so that positions fit

  struct Symbol {
    Token token;
    std::uint32_t previous, next;  // positions; kEnd past either end
  };
  std::size_t start(std::string_view piece, Token* symbols) const;  // at most three a byte
  void merge_short(std::string_view piece, std::vector<Token>& out);
  void merge_long(std::string_view piece, std::vector<Token>& out);

  const MergeTable& merges_;
  const ByteTokens& bytes_;
  std::vector<Token> start_;
  std::vector<Symbol> symbols_;
  std::vector<std::uint64_t> heap_;
};

}  // namespace deepwell
