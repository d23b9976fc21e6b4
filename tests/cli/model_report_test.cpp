// SPDX-License-Identifier: Apache-2.0
// Goal: inspect says what is in the file, and survives files that say nonsense.
#include "cli/model_report.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "cli/known_models.h"
#include "support/gguf_builder.h"
#include "support/temp_dir.h"

namespace deepwell {
namespace {

using nlohmann::json;
using testing_support::GgufBuilder;
using testing_support::TempDir;

GgufBuilder llama() {
  GgufBuilder b;
  b.set("general.architecture", "llama").set("general.name", "Tiny").set("llama.block_count", 3U);
  b.set("llama.context_length", 128U)
      .set("llama.embedding_length", 64U)
      .set("llama.feed_forward_length", 96U);
  b.set("llama.attention.head_count", 4U).set("llama.attention.head_count_kv", 2U);
  b.set("tokenizer.ggml.model", "gpt2")
      .set("tokenizer.ggml.pre", "smollm")
      .set("tokenizer.chat_template", "{{ x }}");
  b.set("tokenizer.ggml.tokens", std::vector<std::string>(20, "\xff\n"));
  b.random_tensor("token_embd.weight", {64, 20}, 1.0F, 1);
  b.tensor("output.weight", {64, 20}, TypeId::kQ8_0, std::string(34 * 2 * 20, 'x'));
  return b;
}

using Bytes = std::vector<std::pair<std::string_view, std::int64_t>>;
Bytes of_each_type(const ModelReport& report) {
  Bytes bytes;
  for (const ModelReport::Cache& cache : report.caches) bytes.emplace_back(cache.type, cache.bytes_per_token);
  return bytes;
}

class Inspect : public testing::Test {
 protected:
  std::unique_ptr<ModelFile> open(const GgufBuilder& builder) {
    auto file = open_gguf(temp_.write("m.gguf", builder.build()));
    if (!file.ok()) ADD_FAILURE() << file.error().message;
    return std::move(file).value();
  }
  TempDir temp_;
};

TEST_F(Inspect, ReportsShapeTypesAndCache) {
  const auto file = open(llama());
  const ModelReport r = report_on(*file);
  EXPECT_EQ(r.architecture, "llama");
  EXPECT_EQ(r.parameters, 2 * 64 * 20);
  ASSERT_EQ(r.types.size(), 2U);
  EXPECT_EQ(r.types[0].name, "F32");
  EXPECT_EQ(r.types[1].bytes, 34 * 2 * 20);
  EXPECT_DOUBLE_EQ(r.bits_per_weight(), (32 + 8.5) / 2);
  EXPECT_EQ(r.head_dim, 16);
  constexpr std::int64_t kElements = 3 * 2 * (16 + 16);  // layers, heads, keys and values
  EXPECT_EQ(of_each_type(r), (Bytes{{"f16", kElements * 2},
                                    {"bf16", kElements * 2},
                                    {"f32", kElements * 4},
                                    {"q8", 3 * 2 * 2 * (16 + 4)}}));  // a scale a vector
  EXPECT_EQ(r.vocabulary, 20);
  EXPECT_TRUE(r.chat_template);
  const std::string table = report_as_table(r);
  for (const char* said : {"Tiny", "f16       384 B a token, 49.2 kB for the whole context",
                           "q8        240 B a token", "gpt2, pre-tokenizer smollm"})
    EXPECT_NE(table.find(said), std::string::npos) << said << " in\n" << table;
}

TEST_F(Inspect, TheCacheIsTheOneThatTheArchitectureKeeps) {
  const auto latent = [](const std::string& architecture) {
    GgufBuilder b;
    b.set("general.architecture", architecture).set(architecture + ".block_count", 3U);
    b.set(architecture + ".embedding_length", 64U).set(architecture + ".attention.head_count", 4U);
    b.set(architecture + ".attention.kv_lora_rank", 32U).set(architecture + ".rope.dimension_count", 16U);
    b.set(architecture + ".attention.key_length_mla", 48U);
    b.set(architecture + ".attention.value_length_mla", 24U);
    return b;
  };
  EXPECT_EQ(report_on(*open(latent("deepseek2"))).caches.at(0).bytes_per_token,
            3 * (32 + 16) * 2);  // layers, latent, F16
  EXPECT_TRUE(report_on(*open(latent("unheard-of"))).caches.empty());
}

// As published, and by hand: latents of 512 and 64 rotated elements a layer (V3.2: an index key of 128 more),
// keys and values of the distills' heads of 128; Q8: a byte each and a scale of four for every 64.
TEST_F(Inspect, ReleasedModelsTakeWhatIsPublished) {
  struct Known {
    std::string_view name;
    std::int64_t f16, q8, drafting;
  };
  constexpr std::int64_t kLatent = 576, kLatentQ8 = 576 + 9 * 4, kIndexQ8 = 128 + 2 * 4,
                         kHeadQ8 = 128 + 2 * 4;
  for (const auto& [name, f16, q8, drafting] :
       {Known{"deepseek-v2-lite", 31'104, 27 * kLatentQ8, 0}, Known{"deepseek-v2", 69'120, 60 * kLatentQ8, 0},
        Known{"deepseek-v3", 70'272, 61 * kLatentQ8, 1152},
        Known{"deepseek-v3.2", 61 * (kLatent + 128) * 2, 61 * (kLatentQ8 + kIndexQ8), 1152},
        Known{"r1-distill-qwen-7b", 57'344, 28 * 2 * 4 * kHeadQ8, 0},
        Known{"r1-distill-llama-70b", 327'680, 80 * 2 * 8 * kHeadQ8, 0}}) {
    SCOPED_TRACE(name);
    const auto file = known_model(name, "Q8_0");
    ASSERT_TRUE(file.ok()) << file.error().message;
    const ModelReport r = report_on(**file);
    EXPECT_EQ(of_each_type(r), (Bytes{{"f16", f16}, {"bf16", f16}, {"f32", 2 * f16}, {"q8", q8}}));
    EXPECT_EQ(r.caches.at(0).drafting_bytes_per_token, drafting);
  }
}

// Compressed entries and index keys of every fourth token, compressed entries of every 128th in each page of
// 64: 160 bytes a token more than the 6,880 published (Pro: 248 more than 9,848; docs/adr/0002 says why). And
// windows of 128 vectors beside unfinished blocks.
TEST_F(Inspect, TheCacheOfDeepseekV4IsCompressed) {
  const auto v4 = [](std::vector<std::int32_t> ratios, std::uint32_t heads) {
    GgufBuilder b;
    const auto layers = static_cast<std::uint32_t>(ratios.size());
    b.set("general.architecture", "deepseek4").set("deepseek4.block_count", layers);
    b.set("deepseek4.embedding_length", 4096U).set("deepseek4.attention.head_count", heads);
    b.set("deepseek4.attention.key_length", 512U).set("deepseek4.rope.dimension_count", 64U);
    b.set("deepseek4.attention.q_lora_rank", 1024U).set("deepseek4.attention.sliding_window", 128U);
    b.set("deepseek4.attention.output_group_count", 8U).set("deepseek4.attention.output_lora_rank", 1024U);
    b.set("deepseek4.attention.indexer.head_count", 64U).set("deepseek4.attention.indexer.key_length", 128U);
    b.set("deepseek4.attention.indexer.top_k", 512U).set("deepseek4.hyper_connection.count", 4U);
    b.set("deepseek4.hyper_connection.sinkhorn_iterations", 20U);
    ratios.push_back(0);  // of the layer that drafts
    return b.set("deepseek4.attention.compress_ratios", ratios);
  };
  std::vector<std::int32_t> flash = {0, 0}, pro = {128, 128};
  for (int i = 2; i < 43; ++i) flash.push_back(i % 2 == 0 ? 4 : 128);
  for (int i = 2; i < 61; ++i) pro.push_back(i % 2 == 0 ? 4 : 128);
  const ModelReport r = report_on(*open(v4(flash, 64)));
  EXPECT_EQ(r.caches.at(0).bytes_per_token, 21 * (512 + 128) * 2 / 4 + 20 * 512 * 2 / 64);
  const std::int64_t selected = 2 * 3 * (512 + 128) * 4, whole = 3 * 512 * 4;
  EXPECT_EQ(r.caches[0].bytes_per_sequence, 43 * 128 * 512 * 2 + 21 * selected + 20 * whole);
  EXPECT_NE(report_as_table(r).find("f16     7.04 kB a token and 6.08 MB a sequence"), std::string::npos)
      << report_as_table(r);
  EXPECT_EQ(report_on(*open(v4(pro, 128))).caches.at(0).bytes_per_token, 30 * 320 + 31 * 16);
}

TEST_F(Inspect, JsonHasWhatWasAskedFor) {
  const auto file = open(llama());
  const ModelReport r = report_on(*file);
  const json plain = json::parse(report_as_json(r, *file, false, false));
  EXPECT_EQ(plain["kv_bytes_per_token"], 384);
  EXPECT_EQ(plain["kv_cache"]["f32"]["bytes_per_token"], 768);
  EXPECT_EQ(plain["types"][0]["type"], "F32");
  EXPECT_FALSE(plain.contains("metadata"));
  const json full = json::parse(report_as_json(r, *file, true, true));
  EXPECT_EQ(full["metadata"]["tokenizer.ggml.tokens"].size(), 20U);
  EXPECT_EQ(full["tensors"][1]["shape"], json::parse("[64,20]"));
}

TEST_F(Inspect, TablesStayOnTheirLines) {
  const auto file = open(llama());
  const std::string metadata = metadata_as_table(file->metadata());
  EXPECT_EQ(std::count(metadata.begin(), metadata.end(), '\n'),
            static_cast<std::ptrdiff_t>(file->metadata().values.size()));
  EXPECT_NE(metadata.find("[20] \"\\xff\\n\""), std::string::npos) << metadata;
  EXPECT_NE(tensors_as_table(*file).find("64 x 20"), std::string::npos);
}

TEST_F(Inspect, SurvivesNonsense) {
  GgufBuilder b;
  b.set("general.architecture", "llama").set("llama.block_count", std::numeric_limits<std::int64_t>::max());
  b.set("llama.embedding_length", -5)
      .set("llama.attention.head_count", 0U)
      .set("llama.context_length", "long");
  b.set("llama.attention.head_count_kv", std::vector<std::int32_t>{1, -1})
      .set("inf", std::numeric_limits<double>::infinity());
  const auto file = open(b);
  const ModelReport r = report_on(*file);
  EXPECT_FALSE(r.layers || r.width || r.heads || r.context || !r.caches.empty());
  EXPECT_EQ(r.bits_per_weight(), 0);
  EXPECT_NE(report_as_table(r).find("not said"), std::string::npos);
  EXPECT_EQ(json::parse(report_as_json(r, *file, true, true))["metadata"]["inf"], "inf");
}

}  // namespace
}  // namespace deepwell
