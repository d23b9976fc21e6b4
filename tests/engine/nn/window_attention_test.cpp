// SPDX-License-Identifier: Apache-2.0
// Goal: attention over the window, the compressed entries (all or selected) and the sink is the softmax it
// should be, whether a vector is still in the batch or already in the ring, and has the same bits in any
// chunks. Method: against double, two sequences side by side, windows that pages and chunks do not divide.
#include "engine/nn/window_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "../kernels/random_weights.h"

namespace deepwell {
namespace {

constexpr std::int64_t kHeads = 6, kWidth = 32, kWindow = 21, kTokens = 150;
constexpr int kRatio = 4;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

enum class See { kNone, kAll, kSome };

class WindowAttentionTest : public testing::TestWithParam<See> {
 protected:
  WindowAttentionTest() {
    attention_.heads = kHeads;
    attention_.width = kWidth;
    attention_.window = kWindow;
    attention_.scale = 0.2F;
    attention_.sinks = random_floats(kHeads, 1);
    CacheLayout layout;
    layout.layers = {{{"entries", kWidth, kRatio}}};
    layout.rolling = {{attention_.rolling_spec(CacheType::kF32)}};
    layout.type = CacheType::kF32;
    pool_ = std::move(PagePool::make(layout, 6)).value();
    for (unsigned i = 0; i < 2; ++i) {
      q_[i] = random_floats(kTokens * kHeads * kWidth, 2 + i);
      vectors_[i] = random_floats(kTokens * kWidth, 4 + i);
      entries_[i] = random_floats(kTokens / kRatio * kWidth, 6 + i);
    }
  }
  /// Every third entry of those complete, for the selection.
  static std::vector<std::int32_t> ids_at(std::int64_t position) {
    std::vector<std::int32_t> ids;
    for (std::int32_t id = 0; id < (position + 1) / kRatio; id += GetParam() == See::kSome ? 3 : 1)
      ids.push_back(id);
    return GetParam() == See::kNone ? std::vector<std::int32_t>{} : ids;
  }
  double want(std::size_t story, std::int64_t t, std::int64_t head, std::int64_t d) const {
    const auto& q = q_[story];
    double total = std::exp(double{attention_.sinks[at(head)]}), sum = 0;
    const auto add = [&](const float* vector) {
      double score = 0;
      for (std::int64_t i = 0; i < kWidth; ++i)
        score += double{q[at((t * kHeads + head) * kWidth + i)]} * double{vector[i]};
      const double weight = std::exp(score * double{attention_.scale});
      total += weight;
      sum += weight * double{vector[d]};
    };
    for (std::int64_t s = std::max<std::int64_t>(0, t - kWindow + 1); s <= t; ++s)
      add(vectors_[story].data() + s * kWidth);
    for (const std::int32_t id : ids_at(t)) add(entries_[story].data() + id * kWidth);
    return sum / total;
  }
  /// All of both stories, pace[i] tokens at a time.
  std::vector<float> run(const std::int64_t (&pace)[2]) {
    std::vector<SequenceCache> caches;
    for (std::size_t i = 0; i < 2; ++i) {
      caches.emplace_back(*pool_);
      caches[i].grow(kTokens);
      for (std::int64_t id = 0; id < kTokens / kRatio; ++id)
        std::memcpy(pool_->stream(caches[i].pages()[at(id / 16)], 0, 0) + id % 16 * kWidth * 4,
                    entries_[i].data() + id * kWidth, kWidth * 4);
    }
    std::vector<float> all(2 * kTokens * kHeads * kWidth, NAN);
    for (std::int64_t done[2] = {}; done[0] < kTokens || done[1] < kTokens;) {
      std::vector<float> q, vectors;
      std::vector<std::int32_t> positions, ids, counts;
      std::vector<BatchSequence> sequences;
      for (std::size_t i = 0; i < 2; ++i) {
        const std::int64_t n = std::min(pace[i], kTokens - done[i]), first = std::ssize(positions);
        if (n == 0) continue;
        sequences.push_back({first, n, &caches[i]});
        q.insert(q.end(), q_[i].begin() + done[i] * kHeads * kWidth,
                 q_[i].begin() + (done[i] + n) * kHeads * kWidth);
        vectors.insert(vectors.end(), vectors_[i].begin() + done[i] * kWidth,
                       vectors_[i].begin() + (done[i] + n) * kWidth);
        for (std::int64_t t = 0; t < n; ++t) positions.push_back(static_cast<std::int32_t>(done[i] + t));
      }
      constexpr std::int64_t kMost = kTokens / kRatio;
      for (const std::int32_t position : positions) {
        std::vector<std::int32_t> some = ids_at(position);
        counts.push_back(static_cast<std::int32_t>(some.size()));
        some.resize(kMost);
        ids.insert(ids.end(), some.begin(), some.end());
      }
      WindowAttention::Entries entries{0, 0, GetParam() == See::kNone ? 0 : kRatio};
      if (GetParam() == See::kSome) entries.selection = {ids.data(), counts.data(), kMost};
      std::vector<float> out(q.size(), NAN);
      attention_.attend(q.data(), vectors.data(), {positions, positions, sequences, {}}, 0, entries,
                        out.data(), context_);
      for (const BatchSequence& sequence : sequences) {
        const auto story = static_cast<std::int64_t>(sequence.cache == &caches[1]);
        std::copy_n(out.data() + sequence.first * kHeads * kWidth, sequence.count * kHeads * kWidth,
                    all.data() + (story * kTokens + done[story]) * kHeads * kWidth);
        done[story] += sequence.count;
      }
    }
    return all;
  }

  ThreadPool threads_{2};
  Scratch scratch_;
  Context context_{threads_, scratch_};
  WindowAttention attention_;
  std::unique_ptr<PagePool> pool_;
  std::vector<float> q_[2], vectors_[2], entries_[2];
};

TEST_P(WindowAttentionTest, IsTheSoftmaxInAnyChunks) {
  context_.exact = true;
  const auto exact = run({kTokens, kTokens});
  EXPECT_EQ(run({1, 7}), exact);
  context_.exact = false;
  const auto whole = run({kTokens, kTokens});
  for (std::int64_t story = 0; story < 2; ++story)
    for (std::int64_t t = 0; t < kTokens; ++t)
      for (std::int64_t i = 0; i < kHeads * kWidth; ++i) {
        const std::size_t where = at((story * kTokens + t) * kHeads * kWidth + i);
        ASSERT_NEAR(exact[where], want(static_cast<std::size_t>(story), t, i / kWidth, i % kWidth), 2e-5)
            << "story " << story << ", token " << t;
        ASSERT_NEAR(whole[where], exact[where], 0.02) << "story " << story << ", token " << t;
      }
  EXPECT_EQ(run({1, 7}), whole);
  EXPECT_EQ(run({64, kWindow}), whole);
}

INSTANTIATE_TEST_SUITE_P(WhatIsSeen, WindowAttentionTest, testing::Values(See::kNone, See::kAll, See::kSome));

}  // namespace
}  // namespace deepwell
