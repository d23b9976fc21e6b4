// SPDX-License-Identifier: Apache-2.0
// Goal: what files of DeepSeek V4.1 differ in does not change what they compute; what the goldens are to show
// tells in them; and tables that make no sense are refused. Method: a golden model, rewritten: with a fork's
// name, tables in another type and longer than needed, layers that draft, biases for pictures; with
// candidates, hashes and beginnings that are another model's.
#include <gtest/gtest.h>

#include "engine/quant/weight_format.h"
#include "support/rewritten_model.h"

namespace deepwell {
namespace {

using namespace testing_support;
using Numbers = std::vector<std::int64_t>;

const std::string kEngram = "deepseek41.engram.";

class Deepseek41FilesTest : public RewrittenModelTest {
 protected:
  void SetUp() override {
    open("models/v41_101.gguf");
    tokens_ = golden_tokens(*file_);
    tokens_.resize(150);
  }
  Numbers numbers(const std::string& key) const { return file_->metadata().integers(key); }
  /// The first row where the rewritten model computes something else; -1: none.
  std::int64_t first_difference(const GgufBuilder& builder) const {
    const auto got = logits(builder), want = logits(same());
    for (std::size_t i = 0; i < want.size() && i < got.size(); ++i)
      if (std::fabs(double{got[i]} - double{want[i]}) > 0.001) return static_cast<std::int64_t>(i) / 96;
    return -1;
  }
};

TEST_F(Deepseek41FilesTest, AForksNameOfTheMultipliersIsKnown) {
  const Numbers own = numbers(kEngram + "multipliers");
  GgufBuilder renamed = same();
  renamed.set(kEngram + "multipliers", Numbers{1, 3}).set(kEngram + "hash_multipliers", own);
  EXPECT_EQ(logits(renamed), logits(same()));
}

TEST_F(Deepseek41FilesTest, WhatItDoesNotNeedIsPassedOver) {
  GgufBuilder more = same();
  more.set("deepseek41.attention.compress_ratios",
           Numbers{0, 0, 2, 2, 2, 1, 1, 1, 0, 0, 0});  // of layers that draft
  for (int i = 0; i < 8; ++i)                          // for pictures
    more.random_tensor("blk." + std::to_string(i) + ".exp_probs_b_vl.bias", {4}, 1, 1);
  EXPECT_EQ(logits(more), logits(same()));
}

TEST_F(Deepseek41FilesTest, TheOutputMatrixMayBeInTwoDimensions) {
  const GgufBuilder flat = rewritten(*file_, [](GgufBuilder& out, const FileTensor& tensor) {
    if (!tensor.name.ends_with("attn_output_a.weight")) return false;
    out.tensor(tensor.name, {tensor.row_length(), tensor.rows()}, tensor.type, bytes_of(tensor));
    return true;
  });
  EXPECT_EQ(logits(flat), logits(same()));
}

TEST_F(Deepseek41FilesTest, TablesOfAnotherTypeAndLongerOnesHoldTheSame) {
  const GgufBuilder other = rewritten(*file_, [](GgufBuilder& out, const FileTensor& tensor) {
    if (!tensor.name.ends_with("engram_embd.weight")) return false;
    const std::int64_t width = tensor.row_length(), elements = width * tensor.rows();
    std::vector<float> floats(static_cast<std::size_t>(elements + 3 * width), NAN);  // rows nobody asks for
    find_weight_format(tensor.type)->dequantize(tensor.bytes.data(), elements, floats.data());
    out.tensor(tensor.name, {width, tensor.rows() + 3}, floats);
    return true;
  });
  EXPECT_EQ(logits(other), logits(same()));
}

// Each of these would go unseen if a choice took everything, or a table held nothing.
TEST_F(Deepseek41FilesTest, EveryPartOfItTells) {
  const std::string attention = "deepseek41.attention.";
  // Five blocks of four entries are kept: of 21 entries, some are left out.
  EXPECT_EQ(first_difference(same().set(attention + "candidate_topk_blocks", 64)), 20);
  EXPECT_EQ(first_difference(same().set(attention + "candidate_block_size", 8)), 20);
  EXPECT_EQ(first_difference(same().set(attention + "candidate_source_layer_id", -1)), 20);
  EXPECT_EQ(first_difference(same().set(attention + "indexer.top_k", 64)), 8)
      << "of 9 entries, one is left out";
  EXPECT_EQ(first_difference(same().set(kEngram + "pad_id", 3)), 0) << "what is before a text";
  Numbers multipliers = numbers(kEngram + "multipliers");
  multipliers[3] += 2;  // of the token three back
  EXPECT_EQ(first_difference(same().set(kEngram + "multipliers", multipliers)), 0);
  Numbers ids = numbers(kEngram + "token_map");
  ids[static_cast<std::size_t>(tokens_[100])] = 77;
  const auto first = std::find(tokens_.begin(), tokens_.end(), tokens_[100]) - tokens_.begin();
  EXPECT_EQ(first_difference(same().set(kEngram + "token_map", ids)), first);
}

TEST_F(Deepseek41FilesTest, TablesThatMakeNoSenseAreNamed) {
  Numbers zero = numbers(kEngram + "primes"), far = zero, short_list = zero;
  Numbers negative = numbers(kEngram + "token_map");
  zero[2] = 0;
  far[11] += 1000;
  short_list.pop_back();
  negative[7] = -1;
  const struct {
    const char* key;
    Numbers values;
    const char* part;
  } kCases[] = {
      {"layer_ids", {5, 1}, "engram.layer_ids"},   {"layer_ids", {1, 4}, "engram_embd"},
      {"primes", zero, "engram.primes"},           {"primes", far, "engram_embd"},
      {"primes", short_list, "engram.primes"},     {"multipliers", {1, 2}, "engram.multipliers"},
      {"token_map", negative, "engram.token_map"}, {"token_map", {1, 2, 3}, "engram.token_map"},
  };
  for (const auto& c : kCases) {
    const std::string message = error(same().set(kEngram + c.key, c.values));
    EXPECT_NE(message.find(c.part), std::string::npos) << c.key << ": " << message;
  }
  for (const auto& [key, value, part] : {std::tuple{"max_ngram_size", 3, "engram.multipliers"},
                                         {"head_count", 3, "engram.primes"},
                                         {"key_length", 16, "engram_embd"},
                                         {"pad_id", -1, "engram.pad_id"}}) {
    const std::string message = error(same().set(kEngram + key, value));
    EXPECT_NE(message.find(part), std::string::npos) << key << ": " << message;
  }
}

}  // namespace
}  // namespace deepwell
