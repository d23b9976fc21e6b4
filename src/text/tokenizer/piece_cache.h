// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "text/tokenizer/text_index.h"
#include "text/tokenizer/tokenizer.h"

namespace deepwell {

/// Remembers the tokens of short pieces: text repeats itself. Fixed size, the newer piece wins a place.
class PieceCache {
 public:
  static constexpr std::size_t kPieceBytesMax = 30;
  static constexpr std::size_t kTokensMax = 8;

  PieceCache() : entries_(kEntries) {}

  /// Where the piece's tokens are or belong. Requires 0 < piece.size() <= kPieceBytesMax.
  std::size_t place(std::string_view piece) const { return hash_of(piece) >> (64 - kEntryBits); }

  /// Empty where the piece is not known.
  std::span<const Token> find(std::size_t place, std::string_view piece) const {
    const Entry& entry = entries_[place];
    if (entry.bytes != piece.size() || std::memcmp(entry.piece, piece.data(), piece.size()) != 0) return {};
    return {entry.tokens, entry.count};
  }
  void keep(std::size_t place, std::string_view piece, std::span<const Token> tokens) {
    if (tokens.empty() || tokens.size() > kTokensMax) return;
    Entry& entry = entries_[place];
    entry.bytes = static_cast<std::uint8_t>(piece.size());
    entry.count = static_cast<std::uint8_t>(tokens.size());
    std::memcpy(entry.piece, piece.data(), piece.size());
    std::memcpy(entry.tokens, tokens.data(), tokens.size_bytes());
  }

 private:
  static constexpr int kEntryBits = 14;  // 1 MiB: about what a core's second-level cache holds
  static constexpr std::size_t kEntries = std::size_t{1} << kEntryBits;
  struct alignas(64) Entry {
    std::uint8_t bytes = 0;  // 0: free
    std::uint8_t count = 0;
    char piece[kPieceBytesMax] = {};
    Token tokens[kTokensMax] = {};
  };
  static_assert(sizeof(Entry) == 64);
  std::vector<Entry> entries_;
};

}  // namespace deepwell
