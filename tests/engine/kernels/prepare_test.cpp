// SPDX-License-Identifier: Apache-2.0
// Goal: prepared activations are the same bits on every ISA as the scalar definition.
// Method: random rows, rows of zeros, of one value, huge, tiny and denormal; every width; missing columns.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "engine/kernels/activation_tile.h"
#include "engine/kernels/kernel.h"
#include "random_weights.h"

namespace deepwell {
namespace {

/// Bits, except that a scale or product that is not a number may be any such.
bool same_words(const std::vector<std::byte>& want, const std::vector<std::byte>& got) {
  for (std::size_t at = 0; at + 4 <= want.size(); at += 4) {
    float a = 0, b = 0;
    std::memcpy(&a, want.data() + at, 4);
    std::memcpy(&b, got.data() + at, 4);
    if (std::memcmp(&a, &b, 4) != 0 && !(std::isnan(a) && std::isnan(b))) return false;
  }
  return true;
}

/// A foreign model may make these; the integers made of them must stay the definition's.
template <class Op>
void expect_same_of_what_is_no_number(Activation kind, std::int64_t k) {
  const float not_a_number = std::nanf(""), infinite = HUGE_VALF;
  for (const Kernel& kernel : usable_kernels(Op::kName, cpu_isa())) {
    for (const float odd : {not_a_number, infinite, -infinite, 3e38F}) {
      for (const std::size_t every : {1U, 2U, 5U, 31U}) {
        SCOPED_TRACE(testing::Message()
                     << Op::kName << " " << isa_name(kernel.isa) << " " << odd << " every " << every);
        auto x = random_floats(k, 11);
        for (std::size_t i = every / 2; i < x.size(); i += every) x[i] = odd;
        const float* column = x.data();
        const std::size_t bytes = tile_bytes(kind, k, 1);
        std::vector<std::byte> want(bytes, std::byte{0}), got(bytes, std::byte{0});
        best_kernel<Op>(Isa::kScalar)(&column, tile_over(kind, k, 1, want.data()));
        reinterpret_cast<PrepareTile::Fn*>(kernel.fn)(&column, tile_over(kind, k, 1, got.data()));
        ASSERT_TRUE(same_words(want, got));
      }
    }
  }
}

template <class Op>
void expect_same_bits(Activation kind, std::int64_t k) {
  for (const Kernel& kernel : usable_kernels(Op::kName, cpu_isa())) {
    for (int width : kTileWidths) {
      for (float magnitude : {1.0F, 0.0F, 1e-30F, 1e-42F, 1e30F}) {
        SCOPED_TRACE(testing::Message() << Op::kName << " " << isa_name(kernel.isa) << " width " << width
                                        << " magnitude " << magnitude);
        auto x = random_floats(width * k, 7);
        for (float& value : x) value *= magnitude;
        std::vector<const float*> columns;
        for (int c = 0; c < width; ++c) columns.push_back(c % 3 == 2 ? nullptr : x.data() + c * k);
        const std::size_t bytes = tile_bytes(kind, k, width);
        std::vector<std::byte> want(bytes, std::byte{0}), got(bytes, std::byte{0});
        best_kernel<Op>(Isa::kScalar)(columns.data(), tile_over(kind, k, width, want.data()));
        reinterpret_cast<PrepareTile::Fn*>(kernel.fn)(columns.data(), tile_over(kind, k, width, got.data()));
        ASSERT_EQ(std::memcmp(want.data(), got.data(), bytes), 0);
      }
    }
  }
}

TEST(Prepare, F32IsTheSameEverywhere) { expect_same_bits<PrepareF32>(Activation::kF32, 97); }
TEST(Prepare, Bf16IsTheSameEverywhere) { expect_same_bits<PrepareBf16>(Activation::kBf16, 97); }
TEST(Prepare, Q8x32IsTheSameEverywhere) { expect_same_bits<PrepareQ8x32>(Activation::kQ8x32, 96); }
TEST(Prepare, Q8x256IsTheSameEverywhere) { expect_same_bits<PrepareQ8x256>(Activation::kQ8x256, 768); }

TEST(Prepare, Q8x32OfNoNumbersIsDefined) {
  expect_same_of_what_is_no_number<PrepareQ8x32>(Activation::kQ8x32, 96);
}
TEST(Prepare, Q8x256OfNoNumbersIsDefined) {
  expect_same_of_what_is_no_number<PrepareQ8x256>(Activation::kQ8x256, 768);
}

TEST(Prepare, Q8x32KeepsValuesWithinHalfAStep) {
  const auto x = random_floats(64, 3);
  const float* column = x.data();
  std::vector<std::byte> memory(tile_bytes(Activation::kQ8x32, 64, 1));
  const ActivationTile tile = tile_over(Activation::kQ8x32, 64, 1, memory.data());
  best_kernel<PrepareQ8x32>()(&column, tile);
  for (int i = 0; i < 64; ++i) {
    std::int8_t steps[4];
    std::memcpy(steps, &tile.steps[i / 4], 4);
    const float scale = tile.scales[i / 32];
    EXPECT_NEAR(static_cast<float>(steps[i % 4]) * scale, x[static_cast<std::size_t>(i)], scale * 0.6F);
  }
}

TEST(Prepare, Bf16PairsAreRoundedToNearest) {
  const float x[3] = {1.0F, 1.00390625F * 1.001F, -2.5F};
  const float* column = x;
  std::vector<std::byte> memory(tile_bytes(Activation::kBf16, 3, 1));
  const ActivationTile tile = tile_over(Activation::kBf16, 3, 1, memory.data());
  best_kernel<PrepareBf16>()(&column, tile);
  EXPECT_EQ(tile.bf16[0], 0x3f800000U >> 16 | 0x3f810000U);
  EXPECT_EQ(tile.bf16[1], 0xc020U) << "the missing half of an odd k is zero";
}

}  // namespace
}  // namespace deepwell
