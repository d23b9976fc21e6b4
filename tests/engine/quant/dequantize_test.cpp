// SPDX-License-Identifier: Apache-2.0
// Goal: every weight type is read as the reference library of its file format reads it, bit for bit.
// Method: tests/golden/engine/quant (scripts/golden_quant.py): random blocks, scales of infinity, NaN, zero,
// the extremes of halves, all-zero and all-ones blocks; of our own types (scripts/golden_checkpoints.py
// types), what torch computes. NaN may differ in payload: machines do.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "engine/quant/weight_format.h"
#include "support/temp_dir.h"

namespace deepwell {
namespace {

using testing_support::read_file;

struct Golden {
  std::string blocks;
  std::vector<float> values;
};

Golden read_golden(TypeId type) {
  const std::string name(type_info(type).name);
  const std::string file =
      read_file(std::string(DEEPWELL_SOURCE_DIR) + "/tests/golden/engine/quant/" + name + ".bin");
  std::uint32_t sizes[2] = {};
  if (file.size() < sizeof sizes) return {};
  std::memcpy(sizes, file.data(), sizeof sizes);
  Golden golden;
  golden.blocks = file.substr(sizeof sizes, sizes[0]);
  golden.values.resize(sizes[1]);
  if (file.size() != sizeof sizes + sizes[0] + 4 * std::size_t{sizes[1]}) return {};
  std::memcpy(golden.values.data(), file.data() + sizeof sizes + sizes[0], 4 * std::size_t{sizes[1]});
  return golden;
}

class DequantizeTest : public testing::TestWithParam<WeightFormat> {};

TEST_P(DequantizeTest, EqualsTheReferenceBitForBit) {
  const WeightFormat& format = GetParam();
  const Golden golden = read_golden(format.type);
  const TypeInfo& info = type_info(format.type);
  ASSERT_GT(golden.values.size(), 64U) << "no golden file for " << info.name
                                       << ": run scripts/golden_quant.py, or golden_checkpoints.py types";
  ASSERT_EQ(static_cast<std::int64_t>(golden.values.size()),
            static_cast<std::int64_t>(golden.blocks.size()) / info.block_bytes * info.block_elements);
  std::vector<float> got(golden.values.size());
  format.dequantize(reinterpret_cast<const std::byte*>(golden.blocks.data()),
                    static_cast<std::int64_t>(got.size()), got.data());
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(golden.values[i])) {
      ASSERT_TRUE(std::isnan(got[i])) << i;
      continue;
    }
    ASSERT_EQ(std::bit_cast<std::uint32_t>(got[i]), std::bit_cast<std::uint32_t>(golden.values[i]))
        << "value " << i << ": " << got[i] << ", not " << golden.values[i];
  }
}

INSTANTIATE_TEST_SUITE_P(EveryType, DequantizeTest, testing::ValuesIn(all_weight_formats()),
                         [](const auto& test) { return std::string(type_info(test.param.type).name); });

TEST(WeightFormats, AreFoundByTypeAndOthersAreNot) {
  EXPECT_EQ(all_weight_formats().size(), 26U);
  for (const WeightFormat& format : all_weight_formats())
    EXPECT_EQ(find_weight_format(format.type)->dequantize, format.dequantize);
  EXPECT_EQ(find_weight_format(TypeId::kTQ1_0), nullptr);
}

}  // namespace
}  // namespace deepwell
