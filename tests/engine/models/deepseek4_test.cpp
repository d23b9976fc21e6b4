// SPDX-License-Identifier: Apache-2.0
// Goal: what files of DeepSeek V4 differ in does not change what they compute, and what cannot be right is
// refused. Method: a golden model, rewritten: with a layer that drafts, with the output matrix in two
// dimensions, with MXFP4 experts; with metadata and tables that make no sense.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "engine/quant/weight_format.h"
#include "support/rewritten_model.h"

namespace deepwell {
namespace {

using namespace testing_support;

class Deepseek4Test : public RewrittenModelTest {
 protected:
  void SetUp() override {
    open("models/v4_91.gguf");
    tokens_ = scattered_tokens(128);
  }
};

TEST_F(Deepseek4Test, ALayerThatDraftsIsSkipped) {
  GgufBuilder with = same();
  with.set("deepseek4.block_count", 5U).set("deepseek4.nextn_predict_layers", 1U);
  with.set("deepseek4.attention.compress_ratios", std::vector<std::int32_t>{0, 4, 128, 4, 0});
  const auto want = logits(same());
  with.random_tensor("blk.4.nextn.eh_proj.weight", {128, 64}, 1, 1);
  with.random_tensor("blk.4.attn_norm.weight", {64}, 1, 1);
  EXPECT_EQ(logits(with), want);
  // Named in the metadata, but not there: every layer is the model's own.
  EXPECT_EQ(logits(same().set("deepseek4.nextn_predict_layers", 1U)), want);
}

TEST_F(Deepseek4Test, TheOutputMatrixMayBeInTwoDimensions) {
  const GgufBuilder flat = rewritten(*file_, [](GgufBuilder& out, const FileTensor& tensor) {
    if (!tensor.name.ends_with("attn_output_a.weight")) return false;
    out.tensor(tensor.name, {tensor.row_length(), tensor.rows()}, tensor.type, bytes_of(tensor));
    return true;
  });
  EXPECT_EQ(logits(flat), logits(same()));
}

// Experts of MXFP4 compute what the same weights as floats do; gate and up, whose rows are whole blocks.
TEST_F(Deepseek4Test, ExpertsMayBeMxfp4) {
  const auto with = [&](bool packed) {
    return rewritten(*file_, [&](GgufBuilder& out, const FileTensor& tensor) {
      if (tensor.name.find("ffn_gate_exps") == std::string::npos &&
          tensor.name.find("ffn_up_exps") == std::string::npos)
        return false;
      const std::int64_t blocks = tensor.row_length() * tensor.rows() / 32;
      std::mt19937_64 random(7);
      std::string bytes;
      for (std::int64_t b = 0; b < blocks; ++b) {
        bytes += static_cast<char>(121 + random() % 4);
        for (int i = 0; i < 16; ++i) bytes += static_cast<char>(random());
      }
      const std::vector<std::int64_t> shape(tensor.shape.begin(), tensor.shape.begin() + 3);
      if (packed) {
        out.tensor(tensor.name, shape, TypeId::kMXFP4, bytes);
        return true;
      }
      std::vector<float> floats(static_cast<std::size_t>(blocks * 32));
      find_weight_format(TypeId::kMXFP4)
          ->dequantize(reinterpret_cast<const std::byte*>(bytes.data()), blocks * 32, floats.data());
      out.tensor(tensor.name, shape, floats);
      return true;
    });
  };
  const auto packed = logits(with(true)), floats = logits(with(false));
  ASSERT_EQ(packed.size(), floats.size());
  for (std::size_t i = 0; i < packed.size(); ++i) ASSERT_NEAR(packed[i], floats[i], 1e-4) << i;
  const auto fast = logits(with(true), /*exact=*/false);  // by the int8 kernels
  double total = 0;
  for (std::size_t i = 0; i < fast.size(); ++i) total += std::fabs(double{fast[i]} - double{floats[i]});
  EXPECT_LT(total / static_cast<double>(fast.size()), 0.1);
}

TEST_F(Deepseek4Test, NonsenseIsNamed) {
  struct Case {
    const char* key;
    std::int64_t value;
    const char* part;
  };
  const Case cases[] = {{"deepseek4.attention.output_group_count", 3, "4 heads do not make 3 equal groups"},
                        {"deepseek4.rope.dimension_count", 15, "15 rotated elements"},
                        {"deepseek4.rope.dimension_count", 34, "not in 1..32"},
                        {"deepseek4.attention.indexer.key_length", 8, "index keys of 8"},
                        {"deepseek4.attention.sliding_window", 0, "sliding_window"},
                        {"deepseek4.attention.sliding_window", INT64_MAX, "sliding_window"},
                        {"deepseek4.hyper_connection.count", 9, "hyper_connection.count"},
                        {"deepseek4.hyper_connection.count", 3, "hc_attn_fn"},
                        {"deepseek4.hyper_connection.sinkhorn_iterations", 1 << 30, "sinkhorn_iterations"},
                        {"deepseek4.hash_layer_count", 3, "'blk.2.ffn_gate_tid2eid.weight' is missing"},
                        {"deepseek4.expert_gating_func", 3, "gating 3"}};
  for (const Case& c : cases) {
    const std::string message = error(same().set(c.key, c.value), ErrorCode::kCorrupt);
    EXPECT_NE(message.find(c.part), std::string::npos) << c.key << ": " << message;
  }
  const char* const ratios = "deepseek4.attention.compress_ratios";
  EXPECT_NE(error(same().set(ratios, std::vector<std::int32_t>{0, 4, 128}), ErrorCode::kCorrupt)
                .find("3 numbers for 4"),
            std::string::npos);
  EXPECT_NE(error(same().set(ratios, std::vector<std::int32_t>{0, 2, 1, 2}), ErrorCode::kUnsupported)
                .find("compresses 2 tokens to one"),
            std::string::npos);
  for (const std::int32_t id : {-1, 8}) {
    const GgufBuilder wrong = rewritten(*file_, [&](GgufBuilder& out, const FileTensor& tensor) {
      if (!tensor.name.ends_with("tid2eid.weight")) return false;
      std::string bytes = bytes_of(tensor);
      std::memcpy(bytes.data() + 40, &id, 4);
      out.tensor(tensor.name, {tensor.shape[0], tensor.shape[1]}, tensor.type, bytes);
      return true;
    });
    const std::string message = error(wrong, ErrorCode::kCorrupt);
    EXPECT_NE(message.find("not in 0..7"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace deepwell
