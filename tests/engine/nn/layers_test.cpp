// SPDX-License-Identifier: Apache-2.0
// Goal: the small layers equal their formulas, on few rows (one thread) and many (spread over threads).
#include "engine/nn/layers.h"

#include <gtest/gtest.h>

#include <cmath>

#include "../kernels/random_weights.h"

namespace deepwell {
namespace {

class LayersTest : public testing::TestWithParam<std::int64_t> {
 protected:
  ThreadPool pool_{3};
  Scratch scratch_;
  Context context_{pool_, scratch_};
  std::int64_t rows() const { return GetParam(); }
  static constexpr std::int64_t kWidth = 100;
};

TEST_P(LayersTest, RmsNorm) {
  const RmsNormLayer norm{random_floats(kWidth, 1), 1e-5F};
  const auto x = random_floats(rows() * kWidth, 2);
  std::vector<float> y(x.size(), NAN);
  norm.apply(x.data(), rows(), y.data(), context_);
  for (std::int64_t r = 0; r < rows(); ++r) {
    double squares = 0;
    for (std::int64_t i = 0; i < kWidth; ++i)
      squares += double{x[static_cast<std::size_t>(r * kWidth + i)]} *
                 double{x[static_cast<std::size_t>(r * kWidth + i)]};
    const double scale = 1 / std::sqrt(squares / kWidth + double{1e-5F});
    for (std::int64_t i = 0; i < kWidth; ++i) {
      const auto at = static_cast<std::size_t>(r * kWidth + i);
      const double want = double{x[at]} * scale * double{norm.weight[static_cast<std::size_t>(i)]};
      ASSERT_NEAR(y[at], want, 4e-6 * std::fabs(want));
    }
  }
}

TEST_P(LayersTest, EmbeddingReadsTheRowsOfItsTokens) {
  constexpr std::int64_t kTokens = 50, kBlocks = 256;
  const auto bytes = random_rows(TypeId::kQ6_K, kTokens, kBlocks, 3);
  const WeightFormat& format = *find_weight_format(TypeId::kQ6_K);
  const Embedding table(format, std::span<const std::byte>(bytes), kBlocks);
  std::vector<std::int32_t> tokens;
  for (std::int64_t r = 0; r < rows(); ++r) tokens.push_back(static_cast<std::int32_t>(r * 7 % kTokens));
  std::vector<float> got(static_cast<std::size_t>(rows() * kBlocks), NAN), want(kBlocks);
  table.lookup(tokens, got.data(), context_);
  for (std::size_t r = 0; r < tokens.size(); ++r) {
    format.dequantize(bytes.data() + tokens[r] * 210, kBlocks, want.data());
    for (std::size_t i = 0; i < kBlocks; ++i) ASSERT_EQ(got[r * kBlocks + i], want[i]);
  }
}

TEST_P(LayersTest, SwigluInPlaceAndAdd) {
  const auto gate = random_floats(rows() * kWidth, 4), up = random_floats(rows() * kWidth, 5);
  std::vector<float> y;
  for (const float limit : {0.5F, 0.0F}) {  // 0: none
    y = gate;
    auto linear = up;
    swiglu(y.data(), linear.data(), limit, rows(), kWidth, y.data(), context_);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double g = limit > 0 ? std::min(gate[i], limit) : gate[i];
      const double u = limit > 0 ? std::clamp(up[i], -limit, limit) : up[i];
      const double want = g / (1 + std::exp(-g)) * u;
      ASSERT_NEAR(y[i], want, 1e-6 * std::fabs(want) + 1e-37);
    }
  }
  const auto before = y;
  add(y.data(), up.data(), rows() * kWidth, context_);
  for (std::size_t i = 0; i < y.size(); ++i) ASSERT_EQ(y[i], before[i] + up[i]);
}

INSTANTIATE_TEST_SUITE_P(FewAndMany, LayersTest, testing::Values(1, 5, 700));

}  // namespace
}  // namespace deepwell
