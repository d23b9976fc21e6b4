// SPDX-License-Identifier: Apache-2.0
// Goal: the frequencies of plain, linear, YaRN and Llama 3 rope; files that ask for nonsense get an error.
#include "engine/models/shared/rope_config.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace deepwell {
namespace {

using namespace testing_support;

TEST(YarnFrequencies, BlendBetweenTheKnownCorrectionRanges) {
  struct Golden {
    std::int64_t width;
    double base, original, factor;
    std::int64_t low, high;
  };
  for (const Golden& g : {Golden{64, 1e4, 4096, 40, 10, 23}, Golden{64, 160000, 65536, 16, 15, 25},
                          Golden{128, 1e6, 32768, 4, 23, 40}}) {
    SCOPED_TRACE(testing::Message() << g.width << ", " << g.base << ", " << g.original);
    const auto got = yarn_frequencies(g.width / 2, g.base, g.factor, g.original, 32, 1);
    ASSERT_EQ(static_cast<std::int64_t>(got.size()), g.width / 2);
    for (std::int64_t i = 0; i < g.width / 2; ++i) {
      const double plain = std::pow(g.base, -2.0 * static_cast<double>(i) / static_cast<double>(g.width));
      const double value = got[static_cast<std::size_t>(i)];
      const double ramp =
          std::min(1.0, std::max(0.0, static_cast<double>(i - g.low) / static_cast<double>(g.high - g.low)));
      EXPECT_NEAR(value, plain / g.factor * ramp + plain * (1 - ramp), 1e-15 * plain) << "pair " << i;
      if (i <= g.low) {
        EXPECT_DOUBLE_EQ(value, plain);
      }
      if (i > g.low) {
        EXPECT_LT(value, plain * (1 - 1e-6));
      }
      if (i < g.high) {
        EXPECT_GT(value, plain / g.factor * (1 + 1e-6));
      }
      if (i >= g.high) {
        EXPECT_DOUBLE_EQ(value, plain / g.factor);
      }
    }
  }
}

/// What read_rope makes of some metadata, seen through the angles at one position.
class ReadRopeTest : public testing::Test {
 protected:
  static constexpr std::int64_t kPairs = 8;
  GgufBuilder builder_ = TinyModel{}.build();
  TempDir temp_;
  ThreadPool pool_{1};

  Result<std::vector<double>> frequencies(double* magnitude = nullptr) {
    builder_.write(temp_ / "m.gguf");
    DW_TRY(const std::unique_ptr<ModelFile> file, open_gguf(temp_ / "m.gguf"));
    Loader loader(*file, pool_, {});
    DW_TRY(const Rope rope, read_rope(loader, RopeLayout::kPairs, kPairs));
    Scratch scratch;
    Context context{pool_, scratch};
    const std::int32_t position = 1;
    const Rope::Table table = rope.table({&position, 1}, context);
    std::vector<double> angles;
    for (std::size_t i = 0; i < kPairs; ++i) angles.push_back(std::atan2(table.sine[i], table.cosine[i]));
    if (magnitude != nullptr) *magnitude = std::hypot(double{table.sine[0]}, double{table.cosine[0]});
    return angles;
  }
  static double plain(std::size_t i) { return std::pow(10000.0, -static_cast<double>(i) / kPairs); }
  std::string error() {
    const auto got = frequencies();
    return got.ok() ? "no error" : got.error().message;
  }
};

TEST_F(ReadRopeTest, PlainLinearAndNone) {
  for (std::size_t i = 0; i < kPairs; ++i) EXPECT_NEAR(frequencies().value()[i], plain(i), 1e-6);
  builder_.set("llama.rope.scaling.type", "linear").set("llama.rope.scaling.factor", 4.0F);
  for (std::size_t i = 0; i < kPairs; ++i) EXPECT_NEAR(frequencies().value()[i], plain(i) / 4, 1e-6);
  builder_.set("llama.rope.scaling.type", "none");
  for (std::size_t i = 0; i < kPairs; ++i) EXPECT_NEAR(frequencies().value()[i], plain(i), 1e-6);
}

TEST_F(ReadRopeTest, YarnScalesTheMagnitudeToo) {
  builder_.set("llama.rope.scaling.type", "yarn").set("llama.rope.scaling.factor", 4.0F);
  builder_.set("llama.rope.scaling.original_context_length", std::uint32_t{128});
  double magnitude = 0;
  const auto got = frequencies(&magnitude).value();
  EXPECT_NEAR(magnitude, 0.1 * std::log(4.0) + 1, 1e-6);
  const auto want = yarn_frequencies(kPairs, 10000, 4, 128, 32, 1);
  for (std::size_t i = 0; i < kPairs; ++i) EXPECT_NEAR(got[i], want[i], 1e-6);
}

TEST_F(ReadRopeTest, DivisorsOfTheFileDivide) {
  builder_.tensor("rope_freqs.weight", {kPairs}, std::vector<float>{1, 1, 1, 2, 3, 8, 8, 8});
  const auto got = frequencies().value();
  EXPECT_NEAR(got[2], plain(2), 1e-6);
  EXPECT_NEAR(got[4], plain(4) / 3, 1e-6);
  EXPECT_NEAR(got[7], plain(7) / 8, 1e-6);
}

TEST_F(ReadRopeTest, NonsenseIsAnErrorThatSaysWhat) {
  const GgufBuilder whole = builder_;
  const auto with = [&](const char* key, double value) {
    builder_ = whole;
    builder_.set("llama.rope.scaling.type", "yarn").set("llama.rope.scaling.factor", 4.0F).set(key, value);
    return error();
  };
  for (const double bad : {0.0, -1.0, 1.0, double{NAN}, double{INFINITY}})
    EXPECT_NE(with("llama.rope.freq_base", bad).find("rope.freq_base"), std::string::npos) << bad;
  for (const double bad : {0.0, -2.0, double{NAN}, double{INFINITY}})
    EXPECT_NE(with("llama.rope.scaling.factor", bad).find("rope.scaling.factor"), std::string::npos) << bad;
  EXPECT_NE(with("llama.rope.scaling.factor", 1e-300).find("makes no sense"), std::string::npos);
  for (const char* key : {"original_context_length", "yarn_beta_fast", "yarn_beta_slow"})
    for (const double bad : {-1.0, double{NAN}})
      EXPECT_NE(with((std::string("llama.rope.scaling.") + key).c_str(), bad).find("makes no sense"),
                std::string::npos)
          << key << " " << bad << ": " << error();
  for (const float bad : {0.0F, -1.0F, float{NAN}, 1e-30F}) {
    builder_ = whole;
    builder_.tensor("rope_freqs.weight", {kPairs}, std::vector<float>(kPairs, bad));
    EXPECT_NE(error().find("rope_freqs.weight"), std::string::npos) << bad << ": " << error();
  }
  builder_ = whole;
  builder_.tensor("rope_freqs.weight", {5}, std::vector<float>(5, 1.0F));
  EXPECT_NE(error().find("1 x 5"), std::string::npos) << error();
  builder_ = whole;
  builder_.set("llama.rope.scaling.type", "longrope");
  EXPECT_NE(error().find("'longrope'"), std::string::npos) << error();
}

}  // namespace
}  // namespace deepwell
