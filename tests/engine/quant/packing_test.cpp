// SPDX-License-Identifier: Apache-2.0
// Goal: packing loses nothing: unpack(pack(rows)) is dequantize(rows) bit for bit, missing rows are zeros,
// and a packed group takes the bytes of its rows in the file. Method: random bytes (every scale, NaN and
// infinity among them), 1 to 16 rows, 1 to 5 blocks; gaps between rows.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>

#include "engine/quant/weight_format.h"

namespace deepwell {
namespace {

std::vector<std::byte> random_bytes(std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> bytes(static_cast<std::size_t>(count));
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() & 0xffU);
  return bytes;
}

bool same_value(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

class PackingTest : public testing::TestWithParam<WeightFormat> {
 protected:
  const WeightFormat& format() const { return GetParam(); }
  const TypeInfo& info() const { return type_info(format().type); }
  std::int64_t row_bytes(std::int64_t k) const { return k / info().block_elements * info().block_bytes; }
  /// Sizes of k worth trying: few blocks of blocked types, odd counts of plain floats.
  std::vector<std::int64_t> widths() const {
    if (info().block_elements == 1) return {1, 2, 3, 7, 64, 257};
    return {info().block_elements, 2 * info().block_elements, 5 * info().block_elements};
  }

  /// Packs the present rows of `bytes` and compares what comes out with dequantize.
  void expect_whole(const std::vector<bool>& present, std::int64_t k, unsigned seed) {
    const auto bytes = random_bytes(kGroupRows * row_bytes(k), seed);
    const std::byte* rows[kGroupRows] = {};
    for (int r = 0; r < kGroupRows; ++r)
      if (present[static_cast<std::size_t>(r)]) rows[r] = bytes.data() + r * row_bytes(k);
    // Memory that was never cleared: pack must write all that unpack reads.
    std::vector<std::byte> group(static_cast<std::size_t>(format().group_bytes(k)), std::byte{0xA5});
    format().pack(rows, k, group.data());
    std::vector<float> got(static_cast<std::size_t>(k * kGroupRows), 7.0F);
    format().unpack(group.data(), k, got.data());
    std::vector<float> want(static_cast<std::size_t>(k));
    for (int r = 0; r < kGroupRows; ++r) {
      if (rows[r] != nullptr) format().dequantize(rows[r], k, want.data());
      for (std::int64_t i = 0; i < k; ++i) {
        const float value = got[static_cast<std::size_t>(i * kGroupRows + r)];
        if (rows[r] == nullptr)
          ASSERT_EQ(value, 0.0F) << "missing row " << r << ", k " << i;
        else
          ASSERT_TRUE(same_value(value, want[static_cast<std::size_t>(i)]))
              << "row " << r << ", k " << i << ": " << value << ", not " << want[static_cast<std::size_t>(i)];
      }
    }
  }
};

TEST_P(PackingTest, UnpacksToWhatWasPacked) {
  unsigned seed = 0;
  for (const std::int64_t k : widths()) {
    for (int count = 1; count <= kGroupRows; ++count) {
      SCOPED_TRACE(testing::Message() << count << " rows of " << k);
      std::vector<bool> present(kGroupRows, false);
      for (int r = 0; r < count; ++r) present[static_cast<std::size_t>(r)] = true;
      expect_whole(present, k, ++seed);
    }
  }
}

TEST_P(PackingTest, MissingRowsMayBeAnywhere) {
  std::mt19937 random(5);
  for (unsigned round = 0; round < 20; ++round) {
    std::vector<bool> present;
    for (int r = 0; r < kGroupRows; ++r) present.push_back(random() % 2 == 0);
    expect_whole(present, widths().back(), round + 100);
  }
}

TEST_P(PackingTest, TakesTheBytesOfTheFileRoundedUpTo64) {
  for (const std::int64_t k : widths()) {
    const std::int64_t packed = format().group_bytes(k);
    // BF16 pairs k: an odd k is rounded up to even first.
    const std::int64_t even = format().type == TypeId::kBF16 ? k + k % 2 : k;
    const std::int64_t file = kGroupRows * row_bytes(even);
    EXPECT_EQ(packed, (file + 63) / 64 * 64) << "k = " << k;
  }
}

INSTANTIATE_TEST_SUITE_P(EveryType, PackingTest, testing::ValuesIn(all_weight_formats()),
                         [](const auto& test) { return std::string(type_info(test.param.type).name); });

}  // namespace
}  // namespace deepwell
