// SPDX-License-Identifier: Apache-2.0
// Goal: models compute what the reference implementation of their architecture computes.
// Method: tests/golden/engine/models (scripts/golden_models.py): tiny random models with the reference's
// logits in float32, for 96 tokens or more: whole, in chunks, token by token, beside other sequences, and
// with a smaller cache.
#include <gtest/gtest.h>

#include "support/golden_file.h"
#include "support/run_tokens.h"

namespace deepwell {
namespace {

using namespace testing_support;

class GoldenModelTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto file = open_gguf(GetParam());
    ASSERT_TRUE(file.ok()) << file.error().message;
    file_ = std::move(file).value();
    tokens_ = golden_tokens(*file_);
    const FileTensor* logits = file_->find("golden.logits");
    ASSERT_NE(logits, nullptr);
    want_ = golden_floats(*file_, "golden.logits");
    ASSERT_GE(tokens_.size(), 96U);
    ASSERT_EQ(logits->rows(), size());
    vocabulary_ = static_cast<std::size_t>(logits->row_length());
  }
  std::unique_ptr<Runner> runner(CacheType cache, bool exact, int threads = 2) {
    auto loaded = Runner::load(file_, {threads, cache, exact, 1024});
    if (loaded.ok()) return std::move(loaded).value();
    ADD_FAILURE() << loaded.error().message;
    return nullptr;
  }
  std::int64_t size() const { return static_cast<std::int64_t>(tokens_.size()); }
  double farthest(const std::vector<float>& got) const {
    if (got.size() != want_.size()) return INFINITY;
    double most = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      const double difference = std::fabs(double{got[i]} - double{want_[i]});
      most = difference <= most ? most : difference;  // NaN counts as far
    }
    return most;
  }

  double mean_distance(const std::vector<float>& got) const {
    double total = 0;
    for (std::size_t i = 0; i < want_.size(); ++i) total += std::fabs(double{got.at(i)} - double{want_[i]});
    return total / static_cast<double>(want_.size());
  }

  std::shared_ptr<const ModelFile> file_;
  std::vector<std::int32_t> tokens_;
  std::vector<float> want_;  // (tokens, vocabulary)
  std::size_t vocabulary_ = 0;
};

TEST_P(GoldenModelTest, WeightsPackedAfterTheFirstStepChangeNoBit) {
  auto later = Runner::load(file_, {.threads = 2, .cache_tokens = 1024, .packed_bytes = 0});
  ASSERT_TRUE(later.ok()) << later.error().message;
  const auto whole = runner(CacheType::kF16, false);
  ASSERT_NE(whole, nullptr);
  EXPECT_FALSE(whole->pack_some());
  const std::int64_t half = size() / 2;  // the first step finds nothing packed, the second everything
  EXPECT_EQ(run_tokens(**later, tokens_, half, true), run_tokens(*whole, tokens_, half, true));
  EXPECT_FALSE((*later)->pack_some());
}

TEST_P(GoldenModelTest, ExactLogitsAreTheReferencesInChunksOfAnySize) {
  const auto model = runner(CacheType::kF32, true);
  ASSERT_NE(model, nullptr);
  for (const bool prompt : {false, true}) {
    for (const std::int64_t chunk : {size(), std::int64_t{1}, std::int64_t{7}, std::int64_t{33}}) {
      const double most = farthest(run_tokens(*model, tokens_, chunk, prompt));
      EXPECT_LE(most, 1e-4) << (prompt ? "prompt" : "drawn") << ", chunks of "
                            << chunk;  // logits reach about 4
    }
  }
}

TEST_P(GoldenModelTest, ASmallerCacheStaysNear) {
  // Where experts or tokens are chosen, a rounded key can tip a choice, and one row is then far off: the mean
  // tells.
  const bool chooses = file_->metadata().has(file_->architecture() + ".expert_count");
  // V4.1 chooses in almost every layer, among entries that many layers share: most rows have a tipped choice.
  const bool often = file_->architecture() == "deepseek41";  // rows of other tokens are 1.2 apart
  const auto f16 = run_tokens(*runner(CacheType::kF16, true), tokens_, size());
  const auto bf16 = run_tokens(*runner(CacheType::kBF16, true), tokens_, size());
  const auto q8 = run_tokens(*runner(CacheType::kQ8, true), tokens_, size());
  EXPECT_LE(mean_distance(f16), often ? 0.1 : 0.02);
  EXPECT_LE(mean_distance(bf16), often ? 0.2 : 0.1);
  EXPECT_LE(mean_distance(q8), often ? 0.3 : 0.1);
  // But not before there is anything to choose.
  for (std::size_t i = 0; often && i < 8 * vocabulary_; ++i) ASSERT_NEAR(f16[i], want_[i], 0.02) << i;
  if (chooses) return;
  EXPECT_LE(farthest(f16), 0.02);
  EXPECT_LE(farthest(bf16), 0.15);
  EXPECT_LE(farthest(q8), 0.15);
}

TEST_P(GoldenModelTest, APromptIsTheSameBitsInChunksOfAnySize) {
  for (const CacheType type : {CacheType::kF16, CacheType::kQ8}) {
    const auto model = runner(type, false);
    ASSERT_NE(model, nullptr);
    const auto whole = run_tokens(*model, tokens_, size(), true);
    for (const std::int64_t chunk : {1, 7, 64})
      EXPECT_EQ(run_tokens(*model, tokens_, chunk, true), whole) << chunk;
  }
}

// Prompts and single tokens of several sequences in one batch: the same bits as each alone.
TEST_P(GoldenModelTest, SequencesOfABatchAreTheSameBitsAsAlone) {
  for (const CacheType type : {CacheType::kF32, CacheType::kF16, CacheType::kQ8}) {
    const bool exact = type == CacheType::kF32;
    const auto model = runner(type, exact);
    ASSERT_NE(model, nullptr);
    const std::vector<std::int32_t> first(tokens_.begin(), tokens_.begin() + 5),
        second(tokens_.begin() + 10, tokens_.begin() + 51), third(tokens_.begin(), tokens_.end());
    const std::vector<std::int32_t>* all[] = {&first, &second, &third};
    std::vector<std::vector<float>> together(3);
    std::vector<SequenceCache> caches;
    for (int i = 0; i < 3; ++i) caches.emplace_back(model->cache());
    std::int64_t done[3] = {};
    const bool prompt[] = {false, true, true};
    // Each goes its own pace: one token, up to 7, up to 20 at a time.
    for (const std::int64_t pace[] = {1, 7, 20}; done[2] < size() || done[1] < 41 || done[0] < 5;) {
      std::vector<Rows> parts;
      std::vector<std::size_t> owners;
      for (std::size_t i = 0; i < 3; ++i) {
        const std::int64_t count = std::min(pace[i], static_cast<std::int64_t>(all[i]->size()) - done[i]);
        if (count == 0) continue;
        parts.push_back({all[i], done[i], count, &caches[i], prompt[i]});
        owners.push_back(i);
        done[i] += count;
      }
      const auto logits = forward(*model, parts);
      std::size_t at = 0;
      for (std::size_t p = 0; p < parts.size(); ++p) {
        const std::size_t size = static_cast<std::size_t>(parts[p].count) * vocabulary_;
        together[owners[p]].insert(together[owners[p]].end(),
                                   logits.begin() + static_cast<std::ptrdiff_t>(at),
                                   logits.begin() + static_cast<std::ptrdiff_t>(at + size));
        at += size;
      }
    }
    for (std::size_t i = 0; i < 3; ++i)
      EXPECT_EQ(together[i], run_tokens(*model, *all[i], 1, prompt[i]))
          << "sequence " << i << ", cache " << kCacheTypeNames[static_cast<std::size_t>(type)];
  }
}

TEST_P(GoldenModelTest, ThreadsChangeNoBit) {
  const auto two = run_tokens(*runner(CacheType::kF16, false), tokens_, 40);
  for (const int threads : {1, 5})
    EXPECT_EQ(run_tokens(*runner(CacheType::kF16, false, threads), tokens_, 40), two)
        << threads << " threads";
}

// What a rejected draft or a reused prefix needs: a copy of the rolling state brings a sequence back.
TEST_P(GoldenModelTest, ACopiedStateContinuesWithTheSameBits) {
  for (const CacheType type : {CacheType::kF16, CacheType::kQ8}) {
    const auto model = runner(type, false);
    ASSERT_NE(model, nullptr);
    const auto cold = run_tokens(*model, tokens_, size());
    for (const std::int64_t stop : {std::int64_t{64}, size() - 7}) {  // a page's border, and inside one
      SequenceCache cache(model->cache());
      forward(*model, {{&tokens_, 0, stop, &cache}});
      const std::vector<std::byte> state(cache.rolling().begin(), cache.rolling().end());
      std::vector<std::int32_t> others(tokens_.rbegin(), tokens_.rend());
      forward(*model, {{&others, stop, size() - stop, &cache}});
      std::copy(state.begin(), state.end(), cache.rolling().begin());
      const auto rest = forward(*model, {{&tokens_, stop, size() - stop, &cache}});
      EXPECT_TRUE(std::equal(
          rest.begin(), rest.end(),
          cold.begin() + static_cast<std::ptrdiff_t>(stop) * static_cast<std::ptrdiff_t>(vocabulary_)))
          << "from " << stop;
    }
  }
}

TEST_P(GoldenModelTest, OnlyTheRowsAskedForAreComputed) {
  const auto model = runner(CacheType::kF32, true);
  ASSERT_NE(model, nullptr);
  SequenceCache cache(model->cache());
  cache.grow(size());
  std::vector<std::int32_t> positions(tokens_.size());
  std::iota(positions.begin(), positions.end(), 0);
  const BatchSequence sequence{0, size(), &cache};
  const std::vector<std::int32_t> rows = {0, 40, 95};
  std::vector<float> logits(3 * vocabulary_ + 1, 0.125F);
  ASSERT_TRUE(model->forward({tokens_, positions, {&sequence, 1}, rows}, logits.data()).ok());
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t v = 0; v < vocabulary_; ++v)
      ASSERT_NEAR(logits[i * vocabulary_ + v], want_[static_cast<std::size_t>(rows[i]) * vocabulary_ + v],
                  1e-4F);
  EXPECT_EQ(logits.back(), 0.125F);
}

INSTANTIATE_TEST_SUITE_P(EveryFile, GoldenModelTest, testing::ValuesIn(golden_files("models")), golden_name);

TEST(GoldenModels, AreAllThere) {
  EXPECT_GE(golden_files("models").size(), 14U) << "run scripts/golden_models.py";
}

}  // namespace
}  // namespace deepwell
