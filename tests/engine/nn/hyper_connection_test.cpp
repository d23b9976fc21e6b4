// SPDX-License-Identifier: Apache-2.0
// Goal: collapse() and merge() are the published formulas: weights of the streams, a mixing matrix whose rows
// and columns are divided by their sums in turn, its first index the stream that is read. Method: against
// double, for one row and many.
#include "engine/nn/hyper_connection.h"

#include <gtest/gtest.h>

#include <cmath>

#include "random_rows.h"

namespace deepwell {
namespace {

constexpr std::int64_t kStreams = 4, kWidth = 72, kCount = (2 + kStreams) * kStreams;
constexpr std::int64_t kAll = kStreams * kWidth;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

class HyperConnectionTest : public testing::TestWithParam<std::int64_t> {
 protected:
  HyperConnectionTest() : matrix_(TypeId::kF32, kCount, kAll, 1, pool_) {
    connection_.streams = kStreams;
    connection_.iterations = 20;
    connection_.eps = 1e-6F;
    connection_.norm_eps = 1e-6F;
    connection_.base = random_floats(kCount, 2);
    connection_.scale = {0.7F, 1.3F, 0.9F};
    connection_.project = Linear(std::move(matrix_.packed), {});
  }
  std::vector<double> projected(const float* x) const {
    double squares = 0;
    for (std::int64_t i = 0; i < kAll; ++i) squares += double{x[i]} * double{x[i]};
    const double inverse = 1 / std::sqrt(squares / kAll + 1e-6);
    std::vector<double> m(kCount, 0.0);
    for (std::int64_t r = 0; r < kCount; ++r)
      for (std::int64_t i = 0; i < kAll; ++i)
        m[at(r)] += double{matrix_.floats[at(r * kAll + i)]} * double{x[i]} * inverse;
    return m;
  }

  ThreadPool pool_{2};
  Scratch scratch_;
  Context context_{pool_, scratch_};
  RandomMatrix matrix_;
  HyperConnection connection_;
};

TEST_P(HyperConnectionTest, CollapsesAndMergesAsPublished) {
  const std::int64_t rows = GetParam();
  auto x = random_floats(rows * kAll, 3);
  const auto before = x;
  const auto output = random_floats(rows * kWidth, 4);
  std::vector<float> y(at(rows * kWidth), NAN), coefficients(at(rows * kCount), NAN);
  connection_.collapse(x.data(), rows, y.data(), coefficients.data(), context_);
  connection_.merge(output.data(), coefficients.data(), rows, x.data(), context_);
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* from = before.data() + row * kAll;
    const std::vector<double> m = projected(from);
    const auto c = [&](std::int64_t i) {
      return m[at(i)] * double{connection_.scale[at(std::min<std::int64_t>(2, i / kStreams))]} +
             double{connection_.base[at(i)]};
    };
    double mix[kStreams][kStreams];
    for (std::int64_t i = 0; i < kStreams; ++i) {
      double total = 0;
      for (std::int64_t j = 0; j < kStreams; ++j) total += mix[i][j] = std::exp(c((2 + i) * kStreams + j));
      for (double& value : mix[i]) value = value / total + 1e-6;
    }
    for (int round = 0; round < 20; ++round) {
      for (std::int64_t i = 0; round > 0 && i < kStreams; ++i) {
        double sum = 1e-6;
        for (const double value : mix[i]) sum += value;
        for (double& value : mix[i]) value /= sum;
      }
      for (std::int64_t j = 0; j < kStreams; ++j) {
        double sum = 1e-6;
        for (const auto& line : mix) sum += line[j];
        for (auto& line : mix) line[j] /= sum;
      }
    }
    for (std::int64_t d = 0; d < kWidth; ++d) {
      double read = 0;
      for (std::int64_t i = 0; i < kStreams; ++i)
        read += (sigmoid(c(i)) + 1e-6) * double{from[i * kWidth + d]};
      ASSERT_NEAR(y[at(row * kWidth + d)], read, 1e-4);
      for (std::int64_t j = 0; j < kStreams; ++j) {
        double want = 2 * sigmoid(c(kStreams + j)) * double{output[at(row * kWidth + d)]};
        for (std::int64_t i = 0; i < kStreams; ++i) want += mix[i][j] * double{from[i * kWidth + d]};
        ASSERT_NEAR(x[at((row * kStreams + j) * kWidth + d)], want, 2e-4) << "stream " << j;
      }
    }
  }
}

// V4.1: a block reads by the weights of the block before it; its own are for merge, and for the next.
TEST_P(HyperConnectionTest, MayReadByTheWeightsOfTheBlockBefore) {
  const std::int64_t rows = GetParam();
  const auto x = random_floats(rows * kAll, 3), before = random_floats(rows * kCount, 7);
  std::vector<float> own(at(rows * kWidth)), y(at(rows * kWidth), NAN), weighed(at(rows * kWidth), NAN);
  std::vector<float> coefficients(at(rows * kCount)), same(at(rows * kCount), NAN);
  connection_.collapse(x.data(), rows, own.data(), coefficients.data(), context_);
  connection_.collapse(x.data(), rows, y.data(), same.data(), context_, before.data());
  EXPECT_EQ(same, coefficients);
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t d = 0; d < kWidth; ++d) {
      double want = 0;
      for (std::int64_t i = 0; i < kStreams; ++i)
        want += double{before[at(row * kCount + i)]} * double{x[at((row * kStreams + i) * kWidth + d)]};
      ASSERT_NEAR(y[at(row * kWidth + d)], want, 1e-4);
    }
  weigh_streams(x.data(), before.data(), kCount, rows, kStreams, kWidth, weighed.data(), context_);
  EXPECT_EQ(weighed, y);
}

TEST_P(HyperConnectionTest, TheHeadWeighsTheStreams) {
  const std::int64_t rows = GetParam();
  RandomMatrix matrix(TypeId::kF32, kStreams, kAll, 1, pool_);
  HyperHead head{kStreams, 1e-6F, 1e-6F, Linear(std::move(matrix.packed), {}), random_floats(kStreams, 5),
                 {0.6F}};
  const auto x = random_floats(rows * kAll, 6);
  std::vector<float> y(at(rows * kWidth), NAN);
  head.collapse(x.data(), rows, y.data(), context_);
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* from = x.data() + row * kAll;
    double squares = 0;
    for (std::int64_t i = 0; i < kAll; ++i) squares += double{from[i]} * double{from[i]};
    double weights[kStreams] = {};
    for (std::int64_t i = 0; i < kStreams; ++i) {
      for (std::int64_t k = 0; k < kAll; ++k)
        weights[i] +=
            double{matrix.floats[at(i * kAll + k)]} * double{from[k]} / std::sqrt(squares / kAll + 1e-6);
      weights[i] = sigmoid(weights[i] * double{head.scale[0]} + double{head.base[at(i)]}) + 1e-6;
    }
    for (std::int64_t d = 0; d < kWidth; ++d) {
      double want = 0;
      for (std::int64_t i = 0; i < kStreams; ++i) want += weights[i] * double{from[i * kWidth + d]};
      ASSERT_NEAR(y[at(row * kWidth + d)], want, 1e-4);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(OneAndMany, HyperConnectionTest, testing::Values(1, 3, 40));

}  // namespace
}  // namespace deepwell
