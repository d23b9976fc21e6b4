// SPDX-License-Identifier: Apache-2.0
// Goal: a row's run is its sequence's latest tokens, however the sequence came and beside whom. Method: two
// stories in steps of 1, 2, 5 and all, beside each other; a copied state that is put back.
#include "engine/nn/token_runs.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace deepwell {
namespace {

class TokenRunsTest : public testing::Test {
 protected:
  TokenRunsTest() {
    runs_.length = 4;
    CacheLayout layout;
    layout.layers = {{{"entries", 1}}};
    layout.rolling = {{runs_.rolling_spec()}};
    pool_ = std::move(PagePool::make(layout, 4)).value();
    for (std::int32_t i = 0; i < kTokens; ++i) {
      stories_[0].push_back(100 + i);
      stories_[1].push_back(200 + i * 7 % 13);
    }
  }
  /// The next tokens of each story in one batch.
  void step(std::vector<SequenceCache>& caches, std::int64_t (&done)[2], const std::int64_t (&count)[2]) {
    std::vector<std::int32_t> tokens, positions;
    std::vector<std::size_t> owners;
    std::vector<BatchSequence> sequences;
    for (std::size_t i = 0; i < 2; ++i) {
      const std::int64_t n = std::min(count[i], kTokens - done[i]);
      if (n == 0) continue;
      sequences.push_back({static_cast<std::int64_t>(tokens.size()), n, &caches[i]});
      for (std::int64_t t = 0; t < n; ++t, ++done[i]) {
        tokens.push_back(stories_[i][static_cast<std::size_t>(done[i])]);
        positions.push_back(static_cast<std::int32_t>(done[i]));
        owners.push_back(i);
      }
    }
    const ScratchScope scope(scratch_);
    const std::int32_t* got = runs_.take({tokens, positions, sequences}, context_);
    for (std::size_t row = 0; row < tokens.size(); ++row)
      for (std::int32_t back = 0; back < 4; ++back) {
        const std::int32_t position = positions[row] - back;
        const std::int32_t want =
            position < 0 ? -1 : stories_[owners[row]][static_cast<std::size_t>(position)];
        ASSERT_EQ(got[row * 4 + static_cast<std::size_t>(back)], want)
            << "position " << positions[row] << ", " << back << " back";
      }
  }

  static constexpr std::int64_t kTokens = 30;
  TokenRuns runs_;
  std::unique_ptr<PagePool> pool_;
  std::vector<std::int32_t> stories_[2];
  ThreadPool threads_{1};
  Scratch scratch_;
  Context context_{threads_, scratch_};
};

TEST_F(TokenRunsTest, AreTheLatestTokensInStepsOfAnySize) {
  constexpr std::int64_t kPaces[][2] = {{1, 30}, {2, 5}, {30, 1}, {3, 4}};
  for (const auto& pace : kPaces) {
    std::vector<SequenceCache> caches;
    caches.emplace_back(*pool_);
    caches.emplace_back(*pool_);
    std::int64_t done[2] = {};
    while (done[0] < kTokens || done[1] < kTokens) ASSERT_NO_FATAL_FAILURE(step(caches, done, pace));
  }
}

TEST_F(TokenRunsTest, ACopiedStateGoesOnFromThere) {
  std::vector<SequenceCache> caches;
  caches.emplace_back(*pool_);
  caches.emplace_back(*pool_);
  std::int64_t done[2] = {};
  step(caches, done, {11, 0});
  const std::vector<std::byte> copy(caches[0].rolling().begin(), caches[0].rolling().end());
  step(caches, done, {5, 0});
  std::copy(copy.begin(), copy.end(), caches[0].rolling().begin());
  done[0] = 11;
  step(caches, done, {9, 0});
}

}  // namespace
}  // namespace deepwell
