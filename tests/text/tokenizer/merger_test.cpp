// SPDX-License-Identifier: Apache-2.0
// Goal: both ways of merging, for short and for long pieces, do what byte pair encoding is defined to do.
// Method: a definition of ten lines, random merges over few letters (so that ranks tie and merges chain).
#include "text/tokenizer/merger.h"

#include "text/tokenizer/support.h"

namespace deepwell::testing_tokenizer {
namespace {

std::vector<Token> by_definition(const MergeTable& merges, std::vector<Token> symbols) {
  for (;;) {
    std::size_t at = 0;
    std::uint32_t best = MergeTable::kNoRank;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i)
      if (const auto rank = merges.rank(symbols[i], symbols[i + 1]); rank < best) best = rank, at = i;
    if (best == MergeTable::kNoRank) return symbols;
    symbols[at] = merges.result(best);
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

TEST(MergerTest, MergesByRankThenFromTheLeft) {
  std::mt19937 random(7);
  ByteTokens bytes;
  for (int b = 0; b < 256; ++b) bytes.token[static_cast<std::size_t>(b)] = b;
  for (int round = 0; round < 40; ++round) {
    MergeTable merges(60);
    Token next = 256;
    const auto any = [&] {
      return random() % 3 == 0 && next > 256
                 ? 256 + static_cast<Token>(random() % static_cast<unsigned>(next - 256))
                 : static_cast<Token>('a' + random() % 3);
    };
    for (int i = 0; i < 60; ++i)
      if (merges.add(any(), any(), next)) ++next;
    Merger merger(merges, bytes);
    for (const std::size_t size : {1, 2, 3, 10, 40, 83, 84, 85, 200, 700}) {
      std::string piece(size, 'a');
      for (char& c : piece) c = static_cast<char>('a' + random() % 3);
      std::vector<Token> got;
      merger.merge(piece, got);
      ASSERT_EQ(got, by_definition(merges, {piece.begin(), piece.end()})) << piece;
    }
  }
}

TEST(MergeTableTest, KeepsTheFirstOfAPair) {
  MergeTable merges(2);
  EXPECT_TRUE(merges.add(1, 2, 3));
  EXPECT_FALSE(merges.add(1, 2, 4));
  EXPECT_TRUE(merges.add(MergeTable::kTokensMax - 1, MergeTable::kTokensMax - 1, 5));
  EXPECT_EQ(merges.rank(1, 2), 0U);
  EXPECT_EQ(merges.rank(MergeTable::kTokensMax - 1, MergeTable::kTokensMax - 1), 1U);
  EXPECT_EQ(merges.result(1), 5);
  EXPECT_EQ(merges.rank(2, 1), MergeTable::kNoRank);
}

}  // namespace
}  // namespace deepwell::testing_tokenizer
