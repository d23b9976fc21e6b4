// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/merger.h"

#include <algorithm>
#include <functional>

namespace deepwell {
namespace {

constexpr std::size_t kScanStep = 8;  // the scan for the best pair runs in whole vectors
constexpr std::uint32_t kEnd = ~std::uint32_t{0};

/// The bytes that no UTF-8 text holds.
bool never_in_utf8(unsigned char b) { return b == 0xC0 || b == 0xC1 || b >= 0xF5; }

}  // namespace

std::size_t Merger::start(std::string_view piece, Token* symbols) const {
  std::size_t count = 0;
  for (const char c : piece) {
    const auto b = static_cast<unsigned char>(c);
    const Token token = bytes_.token[b];
    if (token != ByteTokens::kNone) {
      symbols[count++] = token;
    } else if (never_in_utf8(b)) {
      for (const int r : {0xEF, 0xBF, 0xBD})
        if (bytes_.token[static_cast<std::size_t>(r)] != ByteTokens::kNone)
          symbols[count++] = bytes_.token[static_cast<std::size_t>(r)];
    }
  }
  return count;
}

void Merger::merge(std::string_view piece, std::vector<Token>& out) {
  for (; piece.size() > kPieceBytesMax; piece.remove_prefix(kPieceBytesMax))
    merge_long(piece.substr(0, kPieceBytesMax), out);
  if (piece.size() <= kShort)
    merge_short(piece, out);
  else
    merge_long(piece, out);
}

// One scan finds the best pair and where it is: a pair is one number, its rank above its place. Symbols never
// move; a merged one just drops out of the chain, and its number out of the scan.
void Merger::merge_short(std::string_view piece, std::vector<Token>& out) {
  constexpr std::size_t kSymbolsMax = 3 * kShort;
  constexpr int kPlaceBits = 8;
  static_assert(kSymbolsMax <= 1 << kPlaceBits && kPlaceBits + MergeTable::kRankBits < 31);
  constexpr std::int32_t kNone = INT32_MAX;
  Token symbols[kSymbolsMax];
  std::int32_t pairs[kSymbolsMax + kScanStep];  // of a symbol and the next in the chain
  std::uint8_t next[kSymbolsMax + 1], previous[kSymbolsMax + 1];
  const std::size_t count = start(piece, symbols);
  if (count == 0) return;
  const auto pair_at = [&](std::size_t left, std::size_t right) {
    const std::uint32_t rank = merges_.rank(symbols[left], symbols[right]);
    return rank == MergeTable::kNoRank ? kNone : static_cast<std::int32_t>(rank << kPlaceBits | left);
  };
  for (std::size_t i = 0; i < count; ++i) {
    pairs[i] = i + 1 < count ? pair_at(i, i + 1) : kNone;
    next[i] = static_cast<std::uint8_t>(i + 1);
    previous[i + 1] = static_cast<std::uint8_t>(i);
  }
  const std::size_t scanned = (count + kScanStep - 1) / kScanStep * kScanStep;
  std::fill(pairs + count, pairs + scanned, kNone);
  for (;;) {
    std::int32_t best = kNone;
    for (std::size_t i = 0; i < scanned; ++i) best = pairs[i] < best ? pairs[i] : best;
    if (best == kNone) break;
    const std::size_t left = static_cast<std::size_t>(best) & ((1 << kPlaceBits) - 1);
    const std::size_t right = next[left], after = next[right];
    symbols[left] = merges_.result(static_cast<std::uint32_t>(best) >> kPlaceBits);
    next[left] = static_cast<std::uint8_t>(after);
    previous[after] = static_cast<std::uint8_t>(left);
    pairs[right] = kNone;
    pairs[left] = after < count ? pair_at(left, after) : kNone;
    if (left > 0) pairs[previous[left]] = pair_at(previous[left], left);
  }
  for (std::size_t i = 0; i < count; i = next[i]) out.push_back(symbols[i]);
}

void Merger::merge_long(std::string_view piece, std::vector<Token>& out) {
  start_.resize(piece.size() * 3);
  const std::size_t count = start(piece, start_.data());
  if (count == 0) return;
  symbols_.resize(count);
  heap_.clear();
  constexpr int kPositionBits = 64 - MergeTable::kRankBits;
  const auto entry = [](std::uint32_t rank, std::size_t at) {
    return static_cast<std::uint64_t>(rank) << kPositionBits | at;
  };
  for (std::size_t i = 0; i < count; ++i) {
    symbols_[i] = {start_[i], i == 0 ? kEnd : static_cast<std::uint32_t>(i - 1),
                   i + 1 == count ? kEnd : static_cast<std::uint32_t>(i + 1)};
    if (i + 1 == count) break;
    const std::uint32_t rank = merges_.rank(start_[i], start_[i + 1]);
    if (rank != MergeTable::kNoRank) heap_.push_back(entry(rank, i));
  }
  const auto push = [&](std::uint32_t left, std::uint32_t right) {
    const std::uint32_t rank = merges_.rank(symbols_[left].token, symbols_[right].token);
    if (rank == MergeTable::kNoRank) return;
    heap_.push_back(entry(rank, left));
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  };
  // Smallest first: by rank, then by place. An entry is stale once either side of it has merged otherwise.
  std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const auto rank = static_cast<std::uint32_t>(heap_.back() >> kPositionBits);
    const auto left = static_cast<std::uint32_t>(heap_.back());
    heap_.pop_back();
    Symbol& symbol = symbols_[left];
    if (symbol.token < 0 || symbol.next == kEnd) continue;
    Symbol& right = symbols_[symbol.next];
    if (merges_.rank(symbol.token, right.token) != rank) continue;
    symbol.token = merges_.result(rank);
    right.token = -1;
    symbol.next = right.next;
    if (symbol.next != kEnd) {
      symbols_[symbol.next].previous = left;
      push(left, symbol.next);
    }
    if (symbol.previous != kEnd) push(symbol.previous, left);
  }
  for (std::uint32_t i = 0; i != kEnd; i = symbols_[i].next) out.push_back(symbols_[i].token);
  // A long piece is rare: give back what it took.
  if (count > 1U << 16) {
    start_ = {};
    symbols_ = {};
    heap_ = {};
  }
}

}  // namespace deepwell
