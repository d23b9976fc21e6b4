// SPDX-License-Identifier: Apache-2.0
// Goal: an indexer chooses the entries that score best; one that keeps blocks keeps those of the best entries
// and the latest, and one that uses them chooses there alone; whatever the chunks. Method: against double,
// over two sequences, entries of one token and of two; more entries kept than chosen, and fewer.
#include "engine/nn/indexer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

#include "random_rows.h"

namespace deepwell {
namespace {

constexpr std::int64_t kHeads = 6, kWidth = 32, kRank = 16, kModel = 24, kPairs = 4, kTokens = 200;
constexpr std::int64_t kBlock = 4;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

struct Case {
  int ratio;
  std::int64_t top_k, blocks;  // blocks 0: none are kept
};

class IndexerTest : public testing::TestWithParam<Case> {
 protected:
  IndexerTest() {
    std::vector<double> frequencies;
    for (int i = 0; i < kPairs; ++i) frequencies.push_back(0.2 / (i + 1));
    rope_ = Rope(RopeLayout::kPairs, frequencies, 1);
    for (unsigned i = 0; i < 2; ++i) {
      matrices_.emplace_back(TypeId::kF32, kHeads * kWidth, kRank, 10 + i, threads_);
      matrices_.emplace_back(TypeId::kF32, kHeads, kModel, 20 + i, threads_);
      Indexer& indexer = indexers_[i];
      indexer.heads = kHeads;
      indexer.width = kWidth;
      indexer.top_k = GetParam().top_k;
      indexer.stream = 0;
      indexer.tokens_per_entry = GetParam().ratio;
      indexer.rotated_from = kWidth - 2 * kPairs;
      if (GetParam().blocks > 0)
        indexer.blocks = {i == 0 ? IndexBlocks::Part::kKeep : IndexBlocks::Part::kUse, GetParam().blocks,
                          kBlock};
      indexer.q_b = Linear(std::move(matrices_[2 * i].packed), {});
      indexer.weight = Linear(std::move(matrices_[2 * i + 1].packed), {});
    }
    CacheLayout layout;
    layout.layers = {{indexers_[0].spec()}};
    layout.type = CacheType::kF32;
    pool_ = std::move(PagePool::make(layout, 8)).value();
    for (unsigned i = 0; i < 2; ++i) {
      x_[i] = random_floats(kTokens * kModel, 30 + i);
      low_[i] = random_floats(kTokens * kRank, 40 + i);
      keys_[i] = random_floats(kTokens / GetParam().ratio * kWidth, 50 + i);
      caches_.emplace_back(*pool_);
      caches_[i].grow(kTokens);
      for (std::int64_t e = 0; e < kTokens / GetParam().ratio; ++e)
        std::memcpy(caches_[i].entry(0, 0, (e + 1) * GetParam().ratio - 1), keys_[i].data() + e * kWidth,
                    kWidth * sizeof(float));
    }
  }

  using Ids = std::vector<std::int32_t>;
  static std::int64_t seen_at(std::int64_t t) { return (t + 1) / GetParam().ratio; }

  /// Of a story's token, by one of the indexers.
  std::vector<double> scores(std::size_t which, std::size_t story, std::int64_t t) const {
    const auto product = [](const RandomMatrix& m, std::int64_t row, const float* x, std::int64_t k) {
      double sum = 0;
      for (std::int64_t i = 0; i < k; ++i) sum += double{m.floats[at(row * k + i)]} * double{x[i]};
      return sum;
    };
    std::vector<double> q(at(kHeads * kWidth)), got(at(seen_at(t)));
    for (std::int64_t i = 0; i < kHeads * kWidth; ++i)
      q[at(i)] = product(matrices_[2 * which], i, low_[story].data() + t * kRank, kRank);
    for (std::int64_t h = 0; h < kHeads; ++h) {
      for (std::int64_t p = 0; p < kPairs; ++p) {
        const double angle = 0.2 / static_cast<double>(p + 1) * static_cast<double>(t);
        double* pair = q.data() + (h + 1) * kWidth - 2 * kPairs + 2 * p;
        const double turned = pair[0] * std::cos(angle) - pair[1] * std::sin(angle);
        pair[1] = pair[0] * std::sin(angle) + pair[1] * std::cos(angle);
        pair[0] = turned;
      }
      const double weight = product(matrices_[2 * which + 1], h, x_[story].data() + t * kModel, kModel);
      for (std::int64_t e = 0; e < seen_at(t); ++e) {
        double dot = 0;
        for (std::int64_t i = 0; i < kWidth; ++i)
          dot += q[at(h * kWidth + i)] * double{keys_[story][at(e * kWidth + i)]};
        got[at(e)] += weight * std::max(dot, 0.0);
      }
    }
    return got;
  }
  /// The best of what scores, ascending.
  static Ids best(const std::vector<double>& scores, std::int64_t most) {
    Ids ids(scores.size());
    std::iota(ids.begin(), ids.end(), 0);
    // Where no head's product is positive the score is 0: among equals the earlier one.
    std::stable_sort(ids.begin(), ids.end(), [&](auto a, auto b) { return scores[at(a)] > scores[at(b)]; });
    while (!ids.empty() && (std::ssize(ids) > most || std::isinf(scores[at(ids.back())]))) ids.pop_back();
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  Ids want(std::size_t which, std::size_t story, std::int64_t t) const {
    std::vector<double> own = scores(which, story, t);
    if (which == 1 && GetParam().blocks > 0) {
      const std::vector<double> first = scores(0, story, t);
      std::vector<double> blocks(at((seen_at(t) + kBlock - 1) / kBlock), -INFINITY);
      for (std::int64_t e = 0; e < seen_at(t); ++e)
        blocks[at(e / kBlock)] = std::max(blocks[at(e / kBlock)], first[at(e)]);
      if (!blocks.empty()) blocks.back() = 1e30;
      const Ids kept = best(blocks, GetParam().blocks);
      const std::set<std::int32_t> among(kept.begin(), kept.end());
      for (std::int64_t e = 0; e < seen_at(t); ++e)
        if (!among.contains(static_cast<std::int32_t>(e / kBlock))) own[at(e)] = -INFINITY;
    }
    return best(own, GetParam().top_k);
  }

  /// Both stories, pace[i] tokens at a time: checks every row of both indexers.
  void run(const std::int64_t (&pace)[2]) {
    for (std::int64_t done[2] = {}; done[0] < kTokens || done[1] < kTokens;) {
      std::vector<float> x, low;
      Ids positions;
      std::vector<std::size_t> stories;
      std::vector<BatchSequence> sequences;
      for (std::size_t i = 0; i < 2; ++i) {
        const std::int64_t n = std::min(pace[i], kTokens - done[i]);
        if (n == 0) continue;
        sequences.push_back({std::ssize(positions), n, &caches_[i]});
        x.insert(x.end(), x_[i].begin() + done[i] * kModel, x_[i].begin() + (done[i] + n) * kModel);
        low.insert(low.end(), low_[i].begin() + done[i] * kRank, low_[i].begin() + (done[i] + n) * kRank);
        for (std::int64_t t = 0; t < n; ++t) {
          positions.push_back(static_cast<std::int32_t>(done[i]++));
          stories.push_back(i);
        }
      }
      const Batch batch{positions, positions, sequences};
      const ScratchScope scope(scratch_);
      const Rope::Table angles = rope_.table(positions, context_);
      const IndexRoom room = IndexRoom::take(batch, GetParam().top_k, GetParam().blocks, context_);
      Input model(x.data(), batch.rows(), kModel, kModel, context_);
      Input rank(low.data(), batch.rows(), kRank, kRank, context_);
      for (std::size_t which = 0; which < 2; ++which) {
        const Selection got = indexers_[which].select(model, rank, batch, 0, rope_, angles, room, context_);
        for (std::size_t row = 0; row < positions.size(); ++row) {
          const Ids right = want(which, stories[row], positions[row]);
          Ids ids(at(seen_at(positions[row])));
          std::iota(ids.begin(), ids.end(), 0);
          if (got.ids != nullptr) {
            const std::int32_t* first = got.ids + static_cast<std::int64_t>(row) * got.most;
            ids.assign(first, first + got.counts[row]);
          }
          ASSERT_EQ(ids, right) << "indexer " << which << ", story " << stories[row] << ", position "
                                << positions[row];
        }
      }
    }
  }

  ThreadPool threads_{2};
  Scratch scratch_;
  Context context_{threads_, scratch_, /*exact=*/true};
  Rope rope_;
  std::vector<RandomMatrix> matrices_;
  Indexer indexers_[2];
  std::unique_ptr<PagePool> pool_;
  std::vector<SequenceCache> caches_;
  std::vector<float> x_[2], low_[2], keys_[2];
};

TEST_P(IndexerTest, ChoosesTheBestInAnyChunks) {
  constexpr std::int64_t kPaces[][2] = {{kTokens, kTokens}, {1, 7}, {64, 1}};
  for (const auto& pace : kPaces) ASSERT_NO_FATAL_FAILURE(run(pace));
}

INSTANTIATE_TEST_SUITE_P(RatiosAndBlocks, IndexerTest,
                         testing::Values(Case{1, 8, 0}, Case{4, 8, 0}, Case{1, 8, 5}, Case{2, 8, 5},
                                         Case{1, 16, 3}, Case{2, 12, 2}, Case{1, 300, 7}));

}  // namespace
}  // namespace deepwell
