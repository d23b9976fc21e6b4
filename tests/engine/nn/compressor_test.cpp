// SPDX-License-Identifier: Apache-2.0
// Goal: entries are the softmax-weighted sums of their blocks, with and without overlap, normed and rotated,
// and the same bits however the tokens come. Method: against double; chunks of 1, 3 and all; two sequences at
// once.
#include "engine/nn/compressor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "../kernels/random_weights.h"

namespace deepwell {
namespace {

constexpr std::int64_t kWidth = 80, kPairs = 4, kTokens = 300;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

class CompressorTest : public testing::TestWithParam<int> {
 protected:
  CompressorTest() {
    compressor_.width = kWidth;
    compressor_.block_tokens = GetParam();
    compressor_.overlaps = GetParam() == 4;
    stride_ = compressor_.series() * kWidth;
    compressor_.bias = random_floats(compressor_.block_tokens * stride_, 1);
    compressor_.norm = {random_floats(kWidth, 2), 1e-6F};
    CacheLayout layout;
    layout.layers = {{compressor_.spec("entries")}};
    layout.rolling = {{compressor_.rolling_spec()}};
    layout.type = CacheType::kF32;
    pool_ = std::move(PagePool::make(layout, 12)).value();
    std::vector<double> frequencies;
    for (int i = 0; i < kPairs; ++i) frequencies.push_back(0.3 / (i + 1));
    rope_ = Rope(RopeLayout::kPairs, frequencies, 1);
    for (unsigned i = 0; i < 2; ++i) {
      values_[i] = random_floats(kTokens * stride_, 3 + i);
      gates_[i] = random_floats(kTokens * stride_, 5 + i);
      for (float& gate : gates_[i]) gate *= 4;
    }
  }

  /// The next `count[i]` tokens of each story in one batch.
  void take(std::vector<SequenceCache>& caches, std::int64_t (&done)[2], const std::int64_t (&count)[2]) {
    std::vector<float> values, gates;
    std::vector<std::int32_t> tokens, positions;
    std::vector<BatchSequence> sequences;
    for (std::size_t i = 0; i < 2; ++i) {
      const std::int64_t n = std::min(count[i], kTokens - done[i]);
      if (n == 0) continue;
      caches[i].grow(done[i] + n);
      sequences.push_back({static_cast<std::int64_t>(tokens.size()), n, &caches[i]});
      values.insert(values.end(), values_[i].begin() + done[i] * stride_,
                    values_[i].begin() + (done[i] + n) * stride_);
      gates.insert(gates.end(), gates_[i].begin() + done[i] * stride_,
                   gates_[i].begin() + (done[i] + n) * stride_);
      for (std::int64_t t = 0; t < n; ++t) {
        tokens.push_back(0);
        positions.push_back(static_cast<std::int32_t>(done[i]++));
      }
    }
    const Batch batch{tokens, positions, sequences, {}};
    const ScratchScope scope(scratch_);
    const auto blocks = CompletedBlocks::find(batch, compressor_.block_tokens, rope_, context_);
    float* latents = scratch_.take<float>(blocks.count * kWidth);
    compressor_.remember(values.data(), gates.data(), batch, 0, blocks, rope_, context_, latents);
    for (std::size_t i = 0, block = 0; i < sequences.size(); ++i)  // rotated, they are the entries
      for (const auto end = at(blocks.of(sequences[i]).second); block < end; ++block) {
        float* latent = latents + block * kWidth;
        rope_.rotate(latent + kWidth - 2 * kPairs, blocks.angles, static_cast<std::int64_t>(block));
        const std::int64_t last = blocks.last_position(batch, static_cast<std::int64_t>(block));
        EXPECT_EQ(std::memcmp(latent, sequences[i].cache->entry(0, 0, last), kWidth * sizeof(float)), 0)
            << "of token " << last;
      }
  }

  std::vector<float> entry(const SequenceCache& cache, std::int64_t id) const {
    const std::int64_t last = (id + 1) * compressor_.block_tokens - 1;
    const std::int64_t in_page = compressor_.block_tokens < 64 ? id % (64 / compressor_.block_tokens) : 0;
    std::vector<float> got(kWidth);
    std::memcpy(got.data(), pool_->stream(cache.pages()[at(last / 64)], 0, 0) + in_page * kWidth * 4,
                kWidth * 4);
    return got;
  }

  std::vector<double> naive(std::size_t story, std::int64_t id) const {
    const std::int64_t block = compressor_.block_tokens, own = compressor_.overlaps ? kWidth : 0;
    std::vector<double> e(kWidth);
    double squares = 0;
    for (std::int64_t c = 0; c < kWidth; ++c) {
      double total = 0, sum = 0;
      const auto add = [&](std::int64_t token, std::int64_t channel) {
        const double gate = std::exp(double{gates_[story][at(token * stride_ + channel)]} +
                                     double{compressor_.bias[at(token % block * stride_ + channel)]});
        total += gate;
        sum += gate * double{values_[story][at(token * stride_ + channel)]};
      };
      for (std::int64_t t = id * block; t < (id + 1) * block; ++t) add(t, own + c);
      if (compressor_.overlaps && id > 0)
        for (std::int64_t t = (id - 1) * block; t < id * block; ++t) add(t, c);
      e[at(c)] = sum / total;
      squares += e[at(c)] * e[at(c)];
    }
    for (std::int64_t c = 0; c < kWidth; ++c)
      e[at(c)] *= double{compressor_.norm.weight[at(c)]} / std::sqrt(squares / kWidth + 1e-6);
    for (std::int64_t i = 0; i < kPairs; ++i) {
      const double angle = 0.3 / static_cast<double>(i + 1) * static_cast<double>(id * block);
      double &a = e[at(kWidth - 2 * kPairs + 2 * i)], &b = e[at(kWidth - 2 * kPairs + 2 * i + 1)];
      const double turned = a * std::cos(angle) - b * std::sin(angle);
      b = a * std::sin(angle) + b * std::cos(angle);
      a = turned;
    }
    return e;
  }

  ThreadPool threads_{2};
  Scratch scratch_;
  Context context_{threads_, scratch_};
  Compressor compressor_;
  std::int64_t stride_ = 0;
  std::unique_ptr<PagePool> pool_;
  Rope rope_;
  std::vector<float> values_[2], gates_[2];  // (tokens, series * width) of two stories
};

TEST_P(CompressorTest, EntriesAreTheirBlocksSums) {
  std::vector<SequenceCache> whole;
  for (int i = 0; i < 2; ++i) whole.emplace_back(*pool_);
  std::int64_t done[2] = {};
  take(whole, done, {kTokens, kTokens});
  const std::int64_t entries = kTokens / compressor_.block_tokens;
  for (std::size_t i = 0; i < 2; ++i)
    for (std::int64_t id = 0; id < entries; ++id) {
      const auto got = entry(whole[i], id);
      const auto want = naive(i, id);
      for (std::size_t c = 0; c < kWidth; ++c)
        ASSERT_NEAR(got[c], want[c], 2e-5) << "entry " << id << ", " << c;
    }
  std::vector<std::vector<float>> first, second;
  for (std::int64_t id = 0; id < entries; ++id) {
    first.push_back(entry(whole[0], id));
    second.push_back(entry(whole[1], id));
  }
  whole.clear();
  std::vector<SequenceCache> pieces;
  for (int i = 0; i < 2; ++i) pieces.emplace_back(*pool_);
  std::int64_t slowly[2] = {};
  while (slowly[0] < kTokens || slowly[1] < kTokens) take(pieces, slowly, {1, 3});
  for (std::int64_t id = 0; id < entries; ++id) {
    EXPECT_EQ(entry(pieces[0], id), first[at(id)]) << id;
    EXPECT_EQ(entry(pieces[1], id), second[at(id)]) << id;
  }
}

INSTANTIATE_TEST_SUITE_P(OverlappingAndNot, CompressorTest, testing::Values(1, 2, 4, 128));

}  // namespace
}  // namespace deepwell
