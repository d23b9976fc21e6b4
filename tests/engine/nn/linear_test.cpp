// SPDX-License-Identifier: Apache-2.0
// Goal: multiply() equals W x + b in double: every type, exact within float rounding, fast within what 8-bit
// activations lose; several products at once are each what they are alone; a token does not depend on its
// batch.
#include "engine/nn/linear.h"

#include <gtest/gtest.h>

#include <cmath>

#include "../kernels/odd_scales.h"
#include "random_rows.h"

namespace deepwell {
namespace {

class LinearTest : public testing::TestWithParam<WeightFormat> {
 protected:
  ThreadPool pool_{3};
  Scratch scratch_;
  Context context_{pool_, scratch_};
  TypeId type() const { return GetParam().type; }

  std::vector<float> run(const Linear& linear, const std::vector<float>& x, std::int64_t tokens, bool exact) {
    context_.exact = exact;
    const ScratchScope scope(scratch_);
    Input input(x.data(), tokens, linear.k(), linear.k(), context_);
    std::vector<float> y(static_cast<std::size_t>(tokens * linear.rows()), NAN);
    multiply(input, {{&linear, y.data(), linear.rows()}}, context_);
    return y;
  }
};

TEST_P(LinearTest, EqualsTheProductInDouble) {
  constexpr std::int64_t kRows = 75, k = 512;
  const RandomMatrix w(type(), kRows, k, 1, pool_);
  const auto bias = random_floats(kRows, 2);
  RandomMatrix again(type(), kRows, k, 1, pool_);
  const Linear linear(std::move(again.packed), bias);
  for (const std::int64_t tokens : {1, 3, 12, 13, 40}) {
    const auto x = random_floats(tokens * k, 3);
    const auto exact = run(linear, x, tokens, true), fast = run(linear, x, tokens, false);
    for (std::int64_t t = 0; t < tokens; ++t) {
      double highest = 0;
      for (std::int64_t i = 0; i < k; ++i)
        highest = std::max(highest, std::fabs(double{x[static_cast<std::size_t>(t * k + i)]}));
      for (std::int64_t r = 0; r < kRows; ++r) {
        double want = double{bias[static_cast<std::size_t>(r)]}, sum = std::fabs(want), weights = 0;
        for (std::int64_t i = 0; i < k; ++i) {
          const double weight = double{w.floats[static_cast<std::size_t>(r * k + i)]};
          const double term = weight * double{x[static_cast<std::size_t>(t * k + i)]};
          want += term;
          sum += std::fabs(term);
          weights += weight * weight;
        }
        const auto at = static_cast<std::size_t>(t * kRows + r);
        ASSERT_NEAR(exact[at], want, (k / 2 + 8) * 0x1p-24 * sum) << "exact, token " << t << " row " << r;
        // Each activation is off by at most a step of max|x|/127 (float and bf16 activations far less);
        // errors of different k are independent: 8 standard deviations of their sum.
        const double step = highest / 127;
        ASSERT_NEAR(fast[at], want, 8 * step * std::sqrt(weights / 3) + 1e-3 * sum)
            << "fast, token " << t << " row " << r;
      }
    }
  }
}

// Broken or odd files of every type, with a kernel for it or without: a scale of infinity or NaN makes its
// row no number and no other; zero, the smallest and large ones are numbers like others.
TEST_P(LinearTest, OddScalesStayInTheirRow) {
  constexpr std::int64_t kRows = 48, kTokens = 3;
  const std::int64_t k = 3 * std::max<std::int64_t>(type_info(type()).block_elements, 64);
  auto file = random_rows(type(), kRows, k, 31);
  plant_odd_scales(type(), kRows, k, file);
  const auto row_bytes = static_cast<std::int64_t>(file.size()) / kRows;
  std::vector<float> weights(static_cast<std::size_t>(kRows * k));
  for (std::int64_t r = 0; r < kRows; ++r)
    GetParam().dequantize(file.data() + r * row_bytes, k, weights.data() + r * k);
  const Linear linear(PackedMatrix(GetParam(), kRows, k, std::span<const std::byte>(file), pool_), {});
  const auto x = random_floats(kTokens * k, 32);
  const auto exact = run(linear, x, kTokens, true), fast = run(linear, x, kTokens, false);
  for (std::int64_t t = 0; t < kTokens; ++t)
    for (std::int64_t r = 0; r < kRows; ++r) {
      double want = 0, sum = 0;
      for (std::int64_t i = 0; i < k; ++i) {
        const double term = double{weights[static_cast<std::size_t>(r * k + i)]} *
                            double{x[static_cast<std::size_t>(t * k + i)]};
        want += term;
        sum += std::fabs(term);
      }
      const auto at = static_cast<std::size_t>(t * kRows + r);
      ASSERT_EQ(std::isfinite(exact[at]), std::isfinite(want)) << "row " << r << ": " << exact[at];
      ASSERT_EQ(std::isfinite(fast[at]), std::isfinite(want)) << "row " << r << ": " << fast[at];
      if (!std::isfinite(want)) continue;
      ASSERT_NEAR(exact[at], want, static_cast<double>(k) * 0x1p-24 * sum) << "row " << r;
      ASSERT_NEAR(fast[at], want, 0.05 * sum) << "row " << r;
    }
}

TEST_P(LinearTest, ATokenDoesNotDependOnItsBatch) {
  constexpr std::int64_t kRows = 40, k = 256;
  RandomMatrix w(type(), kRows, k, 4, pool_);
  const Linear linear(std::move(w.packed), random_floats(kRows, 5));
  constexpr std::int64_t kTokens = 30;
  const auto x = random_floats(kTokens * k, 6);
  for (const bool exact : {true, false}) {
    const auto together = run(linear, x, kTokens, exact);
    for (std::int64_t t = 0; t < kTokens; ++t) {
      const auto alone = run(linear, {x.begin() + t * k, x.begin() + (t + 1) * k}, 1, exact);
      for (std::int64_t r = 0; r < kRows; ++r)
        ASSERT_EQ(alone[static_cast<std::size_t>(r)], together[static_cast<std::size_t>(t * kRows + r)])
            << "token " << t << " row " << r << (exact ? " exact" : " fast");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryType, LinearTest, testing::ValuesIn(all_weight_formats()),
                         [](const auto& test) { return std::string(type_info(test.param.type).name); });

TEST(Multiply, SeveralProductsOfDifferentTypesAreEachWhatTheyAreAlone) {
  ThreadPool pool(2);
  Scratch scratch;
  Context context{pool, scratch};
  constexpr std::int64_t k = 256, kTokens = 5;
  RandomMatrix a(TypeId::kQ4_K, 100, k, 1, pool), b(TypeId::kQ8_0, 17, k, 2, pool),
      c(TypeId::kF16, 1, k, 3, pool);
  const Linear first(std::move(a.packed), {}), second(std::move(b.packed), random_floats(17, 4)),
      third(std::move(c.packed), {0.5F});
  const auto x = random_floats(kTokens * k, 5);
  for (const bool exact : {false, true}) {
    context.exact = exact;
    const auto buffer = [&](const Linear& l) {
      return std::vector<float>(static_cast<std::size_t>(kTokens * l.rows()), 2.0F);
    };
    auto y1 = buffer(first), y2 = buffer(second), y3 = buffer(third), z1 = y1, z2 = y2, z3 = y3;
    Input together(x.data(), kTokens, k, k, context);
    multiply(together,
             {{&first, y1.data(), first.rows()},
              {&second, y2.data(), second.rows(), /*accumulate=*/true},
              {&third, y3.data(), third.rows()}},
             context);
    const auto alone = [&](const Linear& linear, std::vector<float>& z, bool accumulate) {
      Input input(x.data(), kTokens, k, k, context);
      multiply(input, {{&linear, z.data(), linear.rows(), accumulate}}, context);
    };
    alone(first, z1, false);
    alone(second, z2, true);
    alone(third, z3, false);
    EXPECT_EQ(y1, z1);
    EXPECT_EQ(y2, z2);
    EXPECT_EQ(y3, z3);
  }
}

TEST(Multiply, AccumulatesOnTopAndAddsTheBiasOnce) {
  ThreadPool pool(2);
  Scratch scratch;
  Context context{pool, scratch, /*exact=*/true};
  RandomMatrix w(TypeId::kF32, 20, 64, 1, pool);
  const Linear linear(std::move(w.packed), random_floats(20, 2));
  const auto x = random_floats(64, 3);
  std::vector<float> plain(20), on_top(20, 100.0F);
  Input input(x.data(), 1, 64, 64, context);
  multiply(input, {{&linear, plain.data(), 20}}, context);
  multiply(input, {{&linear, on_top.data(), 20, /*accumulate=*/true}}, context);
  for (std::size_t r = 0; r < 20; ++r) EXPECT_NEAR(on_top[r], plain[r] + 100.0F, 2e-5F);
}

TEST(Multiply, RowsOfAWiderInputAreReadWithTheirStride) {
  ThreadPool pool(1);
  Scratch scratch;
  Context context{pool, scratch, /*exact=*/true};
  RandomMatrix w(TypeId::kF32, 16, 32, 1, pool);
  const Linear linear(std::move(w.packed), {});
  const auto wide = random_floats(3 * 50, 2);
  std::vector<float> dense, got(48), want(48);
  for (std::int64_t t = 0; t < 3; ++t)
    dense.insert(dense.end(), wide.begin() + t * 50, wide.begin() + t * 50 + 32);
  Input strided(wide.data(), 3, 32, 50, context), tight(dense.data(), 3, 32, 32, context);
  multiply(strided, {{&linear, got.data(), 16}}, context);
  multiply(tight, {{&linear, want.data(), 16}}, context);
  EXPECT_EQ(got, want);
}

}  // namespace
}  // namespace deepwell
