// SPDX-License-Identifier: Apache-2.0
// Goal: every elementwise variant stays within the bound of elementwise.h.
// Method: lengths around the vector widths, random values, and the ends of exp's range.
#include "engine/kernels/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>

#include "random_weights.h"

namespace deepwell {
namespace {

constexpr std::int64_t kLengths[] = {1, 7, 8, 15, 16, 17, 31, 33, 64, 576, 1000};

template <class Op, class Check>
void every_variant(Check check) {
  for (const Kernel& kernel : usable_kernels(Op::kName, cpu_isa())) {
    for (std::int64_t n : kLengths) {
      SCOPED_TRACE(testing::Message() << Op::kName << " " << isa_name(kernel.isa) << " n=" << n);
      check(reinterpret_cast<typename Op::Fn*>(kernel.fn), n);
    }
  }
}

TEST(Elementwise, RmsNorm) {
  every_variant<RmsNorm>([](RmsNorm::Fn* run, std::int64_t n) {
    const auto x = random_floats(n, 1), w = random_floats(n, 2);
    std::vector<float> want(x.size()), got(x);
    best_kernel<RmsNorm>(Isa::kScalar)(x.data(), w.data(), 1e-6F, n, want.data());
    run(got.data(), w.data(), 1e-6F, n, got.data());  // in place
    for (std::size_t i = 0; i < want.size(); ++i)
      ASSERT_NEAR(got[i], want[i], 4e-6 * std::fabs(want[i]) + 1e-30) << i;
  });
}

TEST(Elementwise, SwiGlu) {
  every_variant<SwiGlu>([](SwiGlu::Fn* run, std::int64_t n) {
    auto gate = random_floats(n, 3), up = random_floats(n, 4);
    for (std::size_t i = 0; i < gate.size(); ++i) gate[i] *= i % 3 == 0 ? 30.0F : 1.0F;
    gate[0] = n % 2 == 0 ? -200.0F : 200.0F;
    std::vector<float> want(gate.size()), got(gate.size());
    best_kernel<SwiGlu>(Isa::kScalar)(gate.data(), up.data(), n, want.data());
    run(gate.data(), up.data(), n, got.data());
    for (std::size_t i = 0; i < want.size(); ++i)
      ASSERT_NEAR(got[i], want[i], 1e-6 * std::fabs(want[i]) + 1e-34) << i << " gate " << gate[i];
  });
}

template <class Op>
void rotates() {
  every_variant<Op>([](typename Op::Fn* run, std::int64_t pairs) {
    const auto x = random_floats(2 * pairs, 5);
    std::vector<float> c(static_cast<std::size_t>(pairs)), s(c), want(x), got(x);
    for (std::size_t i = 0; i < c.size(); ++i) {
      c[i] = std::cos(static_cast<float>(i));
      s[i] = std::sin(static_cast<float>(i));
    }
    best_kernel<Op>(Isa::kScalar)(want.data(), c.data(), s.data(), pairs);
    run(got.data(), c.data(), s.data(), pairs);
    for (std::size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-6F) << i;
  });
}
TEST(Elementwise, RotatePairs) { rotates<RotatePairs>(); }
TEST(Elementwise, RotateHalves) { rotates<RotateHalves>(); }

TEST(Elementwise, ToHalvesIsExact) {
  every_variant<ToHalves>([](ToHalves::Fn* run, std::int64_t n) {
    auto x = random_floats(n, 6);
    x[0] = 65520.0F;  // rounds to infinity
    if (n > 4) {
      x[1] = 1e-7F;
      x[2] = -0.0F;
      x[3] = 2049.0F;  // a tie
    }
    std::vector<std::uint16_t> got(x.size());
    run(x.data(), n, got.data());
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(got[i], float_to_half(x[i])) << x[i];
  });
}

}  // namespace
}  // namespace deepwell
