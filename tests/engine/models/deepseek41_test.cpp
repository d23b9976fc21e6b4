// SPDX-License-Identifier: Apache-2.0
// Goal: a DeepSeek V4.1 file whose layers cannot share as they say is refused with the reason; what may be
// left out of a file changes nothing; a long text whose selection, candidates and tables all matter is the
// same bits in any chunks. Method: a golden model, rewritten.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/rewritten_model.h"

namespace deepwell {
namespace {

using namespace testing_support;
using Numbers = std::vector<std::int32_t>;

class Deepseek41Test : public RewrittenModelTest {
 protected:
  void SetUp() override {
    open("models/v41_101.gguf");
    tokens_ = scattered_tokens(96);
  }
};

// The keys say where the tensors are; files of others have the tensors alone.
TEST_F(Deepseek41Test, TensorsSayWhoSharesWithWhom) {
  GgufBuilder silent;
  for (const auto& [key, value] : file_->metadata().values)
    if (!key.ends_with("source_layer_ids") && !key.ends_with("candidate_source_layer_id"))
      std::visit([&](const auto& v) { silent.set(key, v); }, value);
  for (const FileTensor& tensor : file_->tensors())
    silent.tensor(tensor.name, {tensor.shape.begin(), tensor.shape.begin() + tensor.dims}, tensor.type,
                  bytes_of(tensor));
  EXPECT_EQ(logits(silent), logits(same()));
}

TEST_F(Deepseek41Test, CandidatesLimitLaterLayers) {
  const std::string key = "deepseek41.attention.candidate_source_layer_id";
  EXPECT_NE(logits(same().set(key, -1)), logits(same())) << "some of the best entries are in no kept block";
  // Where every block is kept, nothing is limited.
  EXPECT_EQ(logits(same().set("deepseek41.attention.candidate_topk_blocks", 1000)),
            logits(same().set(key, -1)));
}

TEST_F(Deepseek41Test, NonsenseIsNamed) {
  const std::string attention = "deepseek41.attention.";
  const auto corrupt = [&](const std::string& key, const Numbers& value, const char* part) {
    const std::string message = error(same().set("deepseek41." + key, value), ErrorCode::kCorrupt);
    EXPECT_NE(message.find(part), std::string::npos) << key << ": " << message;
  };
  corrupt("attention.compress_ratios", {0, 0, 2, 1, 2, 1, 1, 1}, "layer 3 reads entries of 1 tokens");
  corrupt("attention.compress_ratios", {0, 2, 2, 2, 2, 1, 1, 1}, "layer 1 reads entries of 2 tokens");
  corrupt("attention.compress_ratios", {0, 0, 0, 2, 2, 1, 1, 1}, "layer 2 has entries to keep");
  corrupt("attention.compress_ratios", {0, 0, 2}, "3 numbers for 8 layers");
  corrupt("attention.index_source_layer_ids", {2, 5, 6}, "layer 4 makes entries, but selects none");
  for (const std::int64_t source : {4, 6}) {
    const std::string message =
        error(same().set(attention + "candidate_source_layer_id", source), ErrorCode::kCorrupt);
    EXPECT_NE(message.find(fmt::format("layer {} keeps candidates", source)), std::string::npos) << message;
  }
  corrupt("engram.layer_ids", {1, 8}, "engram.layer_ids");
  corrupt("engram.max_ngram_size", {1}, "max_ngram_size");
  corrupt("attention.indexer.key_length", {8}, "index keys of 8");
  const std::string ratio = error(same().set(attention + "compress_ratios", Numbers{0, 0, 4, 4, 2, 1, 1, 1}),
                                  ErrorCode::kUnsupported);
  EXPECT_NE(ratio.find("compresses 4 tokens to one"), std::string::npos) << ratio;
  const std::string block = error(same().set(attention + "candidate_block_size", 7), ErrorCode::kUnsupported);
  EXPECT_NE(block.find("blocks of 7 entries"), std::string::npos) << block;
  for (const char* part : {"attn_compressor_gate", "indexer.k_norm", "engram_embd", "indexer.proj"}) {
    const std::string message = error(without(part), ErrorCode::kCorrupt);
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace deepwell
