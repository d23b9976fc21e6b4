// SPDX-License-Identifier: Apache-2.0
// Goal: int8 activations cost next to nothing: on the same quantized weights, the fast path's next-token
// distributions stay within 0.01 nats of Kullback-Leibler divergence, on average, of the exact path's.
// Method: a random model of width 256 in Q8_0 (quantized here) and Q4_K (made as blocks), 96 tokens.
#include <gtest/gtest.h>

#include "support/run_tokens.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace deepwell {
namespace {

using namespace testing_support;

void put_half(std::string& bytes, float value) {
  const std::uint16_t half = float_to_half(value);
  bytes.append(reinterpret_cast<const char*>(&half), 2);
}

void add_q8_0(GgufBuilder& out, const std::string& name, std::int64_t rows, std::int64_t k,
              std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0.0F, 1.5F / std::sqrt(static_cast<float>(k)));
  std::string bytes;
  for (std::int64_t b = 0; b < rows * k / 32; ++b) {
    float values[32], most = 0;
    for (float& value : values) most = std::max(most, std::fabs(value = normal(random)));
    put_half(bytes, most / 127);
    for (const float value : values) bytes += static_cast<char>(std::lround(value / most * 127));
  }
  out.tensor(name, {k, rows}, TypeId::kQ8_0, bytes);
}

// weight = d * scale * (step - 7.5), steps uniform: dmin = 7.5 d and every minimum is its sub-block's scale.
void add_q4_k(GgufBuilder& out, const std::string& name, std::int64_t rows, std::int64_t k,
              std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const float d = 1.5F / std::sqrt(static_cast<float>(k)) / (32 * 4.6F);
  std::string bytes;
  for (std::int64_t b = 0; b < rows * k / 256; ++b) {
    put_half(bytes, d);
    put_half(bytes, 7.5F * d);
    unsigned scales[8];
    for (unsigned& scale : scales) scale = 16 + static_cast<unsigned>(random() % 32);
    unsigned packed[12];
    for (unsigned s = 0; s < 4; ++s) {
      packed[s] = packed[s + 4] = scales[s] | (scales[s + 4] >> 4) << 6;
      packed[s + 8] = (scales[s + 4] & 15U) | (scales[s + 4] & 15U) << 4;
    }
    for (const unsigned byte : packed) bytes += static_cast<char>(byte);
    for (int i = 0; i < 128; ++i) bytes += static_cast<char>(random() & 0xffU);
  }
  out.tensor(name, {k, rows}, TypeId::kQ4_K, bytes);
}

/// Mean over rows of sum p ln(p/q), p and q the softmax of the logits.
double divergence(const std::vector<float>& p_logits, const std::vector<float>& q_logits,
                  std::size_t vocabulary) {
  const std::size_t rows = p_logits.size() / vocabulary;
  double sum = 0;
  const auto log_total = [&](const float* row) {
    double total = 0;
    for (std::size_t i = 0; i < vocabulary; ++i) total += std::exp(double{row[i]});
    return std::log(total);
  };
  for (std::size_t r = 0; r < rows; ++r) {
    const float *p = p_logits.data() + r * vocabulary, *q = q_logits.data() + r * vocabulary;
    const double p_total = log_total(p), q_total = log_total(q);
    for (std::size_t i = 0; i < vocabulary; ++i)
      sum += std::exp(double{p[i]} - p_total) * (double{p[i]} - p_total - double{q[i]} + q_total);
  }
  return sum / static_cast<double>(rows);
}

using AddMatrix = void (*)(GgufBuilder&, const std::string&, std::int64_t, std::int64_t, std::uint64_t);
class FastPathTest : public testing::TestWithParam<std::pair<const char*, AddMatrix>> {};

TEST_P(FastPathTest, StaysNearTheExactDistribution) {
  const TempDir temp;
  double worst = 0;
  for (const std::uint64_t seed : {1, 2, 3}) {
    TinyModel model;
    model.width = 256;
    model.heads = 8;
    model.kv_heads = 2;
    model.head_dim = 32;
    model.ffn = 512;
    model.seed = seed;
    model.matrix = GetParam().second;
    model.build().write(temp / "m.gguf");
    std::mt19937_64 random(seed);
    std::vector<std::int32_t> tokens;
    for (int i = 0; i < 96; ++i) tokens.push_back(static_cast<std::int32_t>(random() % 128));
    const auto exact =
        run_tokens(**load_runner(temp / "m.gguf", {2, CacheType::kF32, true, 256}), tokens, 96);
    const auto fast =
        run_tokens(**load_runner(temp / "m.gguf", {2, CacheType::kF16, false, 256}), tokens, 96);
    EXPECT_NE(exact, fast) << "the fast path was not taken";
    worst = std::max(worst, divergence(exact, fast, 128));
    double spread = 0;
    for (const float logit : exact) spread += double{logit} * double{logit};
    EXPECT_GT(spread / static_cast<double>(exact.size()), 0.25) << "logits that say nothing prove nothing";
  }
  EXPECT_LT(worst, 0.01);
  RecordProperty("divergence", std::to_string(worst));
  std::printf("   %s: mean divergence at most %.6f nats\n", GetParam().first, worst);
}

INSTANTIATE_TEST_SUITE_P(EveryKind, FastPathTest,
                         testing::Values(std::pair{"Q8_0", &add_q8_0}, std::pair{"Q4_K", &add_q4_k}),
                         [](const auto& test) { return std::string(test.param.first); });

}  // namespace
}  // namespace deepwell
