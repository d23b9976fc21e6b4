// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "text/tokenizer/tokenizer.h"

namespace deepwell {

/// Which pairs of tokens merge, how early, and into what. Eight bytes a pair, so that the hot part stays in
/// cache.
class MergeTable {
 public:
  static constexpr int kTokenBits = 21;
  static constexpr int kRankBits = 22;
  static constexpr Token kTokensMax = 1 << kTokenBits;
  static constexpr std::uint32_t kNoRank = (1U << kRankBits) - 1;  ///< later than every merge

  explicit MergeTable(std::size_t expected = 0) {
    std::size_t slots = 16;
    while (slots < expected * 2) slots *= 2;
    slots_.assign(slots, kEmpty);
    mask_ = slots - 1;
    maybe_.assign(slots / 16, 0);  // 4 bits a slot
    results_.reserve(expected);
  }

  /// The merges in turn, best first. False where the pair has one already. Requires tokens below kTokensMax
  /// and at most `expected` calls, fewer than kNoRank.
  bool add(Token left, Token right, Token merged) {
    const std::uint64_t pair = pair_of(left, right);
    const std::uint64_t hash = hash_of(pair);
    maybe_[(hash >> 6) & (maybe_.size() - 1)] |= std::uint64_t{1} << (hash & 63);
    for (std::size_t i = slot_of(hash);; i = (i + 1) & mask_) {
      if (slots_[i] == kEmpty) {
        slots_[i] = pair << kRankBits | results_.size();
        results_.push_back(merged);
        return true;
      }
      if (slots_[i] >> kRankBits == pair) return false;
    }
  }

  /// kNoRank where the pair does not merge.
  std::uint32_t rank(Token left, Token right) const {
    const std::uint64_t pair = pair_of(left, right);
    const std::uint64_t hash = hash_of(pair);
    if ((maybe_[(hash >> 6) & (maybe_.size() - 1)] >> (hash & 63) & 1) == 0) return kNoRank;
    for (std::size_t i = slot_of(hash);; i = (i + 1) & mask_) {
      const std::uint64_t slot = slots_[i];
      if (slot >> kRankBits == pair) return static_cast<std::uint32_t>(slot) & kNoRank;
      if (slot == kEmpty) return kNoRank;
    }
  }

  Token result(std::uint32_t rank) const { return results_[rank]; }
  std::size_t size() const { return results_.size(); }

 private:
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};
  static std::uint64_t pair_of(Token left, Token right) {
    return static_cast<std::uint64_t>(left) << kTokenBits | static_cast<std::uint64_t>(right);
  }
  static std::uint64_t hash_of(std::uint64_t pair) {
    const std::uint64_t mixed = pair * 0x9E3779B97F4A7C15;
    return mixed ^ mixed >> 32;
  }
  std::size_t slot_of(std::uint64_t hash) const { return hash >> 7 & mask_; }

  // Most pairs asked for do not merge. A bit a hash says so for most of them from a cache nearer than the
  // slots'.
  std::vector<std::uint64_t> maybe_;
  std::vector<std::uint64_t> slots_;
  std::vector<Token> results_;  // by rank
  std::size_t mask_ = 0;
};

}  // namespace deepwell
