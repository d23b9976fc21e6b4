// SPDX-License-Identifier: Apache-2.0
// Goal: quantized blocks say numbers near the floats they were made of, at least as near as the reference's
// quantizers, and no input breaks them.
// Method: normal values with outliers (as llama_cpp_test.py draws them); limits are about the
// reference's own root mean square errors on them, relative to the values'. Then infinities, NaN, zeros,
// subnormals, one value per block.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "engine/convert/quantizer.h"
#include "engine/quant/weight_format.h"

namespace deepwell {
namespace {

std::vector<float> through(const Quantizer& quantizer, const std::vector<float>& values) {
  const TypeInfo& info = type_info(quantizer.type);
  const auto n = static_cast<std::int64_t>(values.size());
  std::vector<std::byte> blocks(static_cast<std::size_t>(n / info.block_elements * info.block_bytes));
  quantizer.quantize(values.data(), n, blocks.data());
  std::vector<float> back(values.size());
  find_weight_format(quantizer.type)->dequantize(blocks.data(), n, back.data());
  return back;
}

class QuantizerTest : public testing::TestWithParam<Quantizer> {};

double allowed(TypeId type) {
  switch (type) {
    case TypeId::kQ8_0:
      return 0.0055;
    case TypeId::kQ6_K:
      return 0.0177;
    case TypeId::kQ5_K:
      return 0.0360;
    case TypeId::kQ4_K:
      return 0.0711;
    case TypeId::kQ4_1:
      return 0.0780;
    case TypeId::kQ4_0:
      return 0.0857;
    case TypeId::kMXFP4:
      return 0.1142;
    case TypeId::kBF16:
      return 0.0022;
    case TypeId::kF16:
      return 0.0003;
    default:
      return 0;
  }
}

TEST_P(QuantizerTest, NormalValuesComeBackNear) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0.0F, 0.02F);
  std::vector<float> values(256 * 400);
  for (float& value : values) value = normal(random);
  const std::vector<float> back = through(GetParam(), values);
  double error = 0, power = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    error += std::pow(double{back[i]} - double{values[i]}, 2);
    power += std::pow(double{values[i]}, 2);
  }
  EXPECT_LE(std::sqrt(error / power), allowed(GetParam().type));
}

TEST_P(QuantizerTest, TwoValuesComeBackButForTheRoundingOfAScale) {
  std::vector<float> values(512);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 2) * 2.0F;
  const std::vector<float> back = through(GetParam(), values);
  for (std::size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(back[i], values[i], 0.004F) << i;
}

TEST_P(QuantizerTest, NothingBreaksIt) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity(),
                  kNan = std::numeric_limits<float>::quiet_NaN();
  std::mt19937 random(3);
  const float special[] = {0,          -0.0F, 1e-45F, -1e-39F, 3e38F, -3e38F, kInfinity,
                           -kInfinity, kNan,  1,      -1,      65504, 1e-8F};
  for (int round = 0; round < 200; ++round) {
    std::vector<float> values(512, 0.0F);
    for (float& value : values) value = special[random() % (round % std::size(special) + 1)];
    const std::vector<float> back = through(GetParam(), values);
    if (type_info(GetParam().type).block_elements == 1) continue;  // floats say infinity and NaN
    for (const float value : back) ASSERT_TRUE(std::isfinite(value)) << "round " << round;
  }
}

TEST_P(QuantizerTest, ZerosStayZeros) {
  const std::vector<float> zeros(512, 0.0F);
  EXPECT_EQ(through(GetParam(), zeros), zeros);
}

INSTANTIATE_TEST_SUITE_P(EveryType, QuantizerTest, testing::ValuesIn(all_quantizers()),
                         [](const auto& test) { return std::string(type_info(test.param.type).name); });

TEST(Quantizers, AreFoundByNameInAnyCase) {
  EXPECT_EQ(find_quantizer(std::string_view("q4_k"))->type, TypeId::kQ4_K);
  EXPECT_EQ(find_quantizer(std::string_view("Q4")), nullptr);
  EXPECT_EQ(find_quantizer(TypeId::kIQ1_S), nullptr);
}

}  // namespace
}  // namespace deepwell
