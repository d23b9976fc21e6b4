// SPDX-License-Identifier: Apache-2.0
// Goal: fit counts what loading would take, computes the machine's limits from it, and its verdict is the
// exit code. Sizes are checked against the formats' own packing, speeds against hand calculation.
#include "engine/run/fit_estimate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "cli/command.h"
#include "support/gguf_builder.h"
#include "support/golden_file.h"
#include "support/temp_dir.h"

namespace deepwell {
Command command_commands_fit();

namespace {

using nlohmann::json;
using testing_support::GgufBuilder;
using testing_support::golden_files;
using testing_support::golden_path;
using testing_support::TempDir;

constexpr std::int64_t kWidth = 64, kVocabulary = 32, kFfn = 128, kLayers = 2;

std::string zeros(std::int64_t bytes) { return std::string(static_cast<std::size_t>(bytes), '\0'); }

void q8_0(GgufBuilder& b, const std::string& name, std::int64_t k, std::int64_t rows) {
  b.tensor(name, {k, rows}, TypeId::kQ8_0, zeros(k / 32 * 34 * rows));
}

/// A whole llama of two layers in Q8_0: 4 heads of 16, 2 of them with keys and values.
GgufBuilder llama(bool tied, std::uint32_t context = 4096) {
  GgufBuilder b;
  b.set("general.architecture", "llama").set("general.name", "Tiny");
  b.set("llama.block_count", static_cast<std::uint32_t>(kLayers)).set("llama.context_length", context);
  b.set("llama.embedding_length", static_cast<std::uint32_t>(kWidth));
  b.set("llama.feed_forward_length", static_cast<std::uint32_t>(kFfn));
  b.set("llama.attention.head_count", 4U).set("llama.attention.head_count_kv", 2U);
  q8_0(b, "token_embd.weight", kWidth, kVocabulary);
  if (!tied) q8_0(b, "output.weight", kWidth, kVocabulary);
  b.random_tensor("output_norm.weight", {kWidth}, 1.0F, 1);
  for (int i = 0; i < kLayers; ++i) {
    const std::string block = "blk." + std::to_string(i) + ".";
    q8_0(b, block + "attn_q.weight", kWidth, kWidth);
    q8_0(b, block + "attn_k.weight", kWidth, kWidth / 2);
    q8_0(b, block + "attn_v.weight", kWidth, kWidth / 2);
    q8_0(b, block + "attn_output.weight", kWidth, kWidth);
    q8_0(b, block + "ffn_gate.weight", kWidth, kFfn);
    q8_0(b, block + "ffn_up.weight", kWidth, kFfn);
    q8_0(b, block + "ffn_down.weight", kFfn, kWidth);
  }
  return b;
}
// Every matrix above has a multiple of 16 rows, so packing pads nothing and keeps the file's 34 bytes per 32.
constexpr std::int64_t kLayerWeights = kWidth * kWidth * 3 + 3 * kWidth * kFfn;
constexpr std::int64_t kHeadWeights = kWidth * kVocabulary;
constexpr std::int64_t bytes_of(std::int64_t weights) { return weights / 32 * 34; }

class Fit : public testing::Test {
 protected:
  std::string write(const GgufBuilder& builder) { return temp_.write("m.gguf", builder.build()); }
  FitNeeds needs(const GgufBuilder& builder, const FitRequest& request = {}) {
    auto file = open_gguf(write(builder));
    if (!file.ok()) {
      ADD_FAILURE() << file.error().message;
      return {};
    }
    auto counted = count_needs(**file, request);
    if (!counted.ok()) {
      ADD_FAILURE() << counted.error().message;
      return {};
    }
    return std::move(counted).value();
  }
  /// Runs the command with words after its name.
  int run(std::vector<std::string> words, std::string& out) {
    CLI::App app;
    const std::function<int()> action = command_commands_fit().add(app);
    words.insert(words.begin(), "fit");
    std::reverse(words.begin(), words.end());  // as CLI11 wants it
    app.parse(words);
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = action();
    out = testing::internal::GetCapturedStdout() + testing::internal::GetCapturedStderr();
    return code;
  }
  TempDir temp_;
};

TEST_F(Fit, CountsWhatLoadingTakes) {
  const FitNeeds n = needs(llama(/*tied=*/false));
  EXPECT_EQ(n.obstacle, "");
  EXPECT_EQ(n.packed_bytes, bytes_of(kLayers * kLayerWeights + kHeadWeights));
  EXPECT_EQ(n.table_bytes, bytes_of(kHeadWeights));
  EXPECT_EQ(n.vector_bytes, kWidth * 4);
  EXPECT_EQ(n.context, 4096);
  EXPECT_EQ(n.cache_bytes_per_token, kLayers * 2 * (2 * 16) * 2);  // keys and values, 2 heads of 16, F16
  EXPECT_EQ(n.cache_bytes, 4096 * n.cache_bytes_per_token);
  EXPECT_GT(n.work_bytes, 512 * 4 * (2 * kFfn + kWidth));  // a chunk's feed-forward at least
  EXPECT_EQ(n.total_bytes(), n.packed_bytes + n.table_bytes + n.vector_bytes + n.cache_bytes + n.work_bytes);
}

TEST_F(Fit, ATiedHeadIsPackedOnceMore) {
  const FitNeeds tied = needs(llama(true)), own = needs(llama(false));
  EXPECT_LT(tied.file_bytes, own.file_bytes);
  EXPECT_EQ(tied.packed_bytes, own.packed_bytes);
  EXPECT_EQ(tied.table_bytes, own.table_bytes);
  EXPECT_EQ(tied.head.weights, kHeadWeights);
}

TEST_F(Fit, TheCacheFollowsContextParallelAndType) {
  const std::int64_t one = needs(llama(true), {4096, 1}).cache_bytes;
  EXPECT_EQ(needs(llama(true), {4096, 3}).cache_bytes, 3 * one);
  EXPECT_EQ(needs(llama(true), {8192, 1}).cache_bytes, 2 * one);
  EXPECT_EQ(needs(llama(true), {4096, 1, CacheType::kF32}).cache_bytes, 2 * one);
  EXPECT_LT(needs(llama(true), {4096, 1, CacheType::kQ8}).cache_bytes, one * 3 / 4);
  EXPECT_EQ(needs(llama(true), {1, 1}).cache_bytes, one / 64) << "a page of 64 tokens at least";
  EXPECT_EQ(needs(llama(true, 1 << 20)).context, 8192) << "without a wish: at most 8192";
}

// A whole small model of that kind, among the golden ones: states beside the pages, tables of integers,
// streams.
TEST_F(Fit, CountsDeepseekV4) {
  const auto file = open_gguf(golden_path("models/v4_91.gguf"));
  ASSERT_TRUE(file.ok()) << file.error().message;
  const FitNeeds one = count_needs(**file, {640, 1}).value(), three = count_needs(**file, {640, 3}).value();
  EXPECT_EQ(one.obstacle, "");
  EXPECT_EQ(one.cache_bytes_per_page, 2 * (16 * 32 + 16 * 64) * 2 + 32 * 2);
  EXPECT_EQ(one.cache_bytes_rolling, 4 * 16 * 32 * 2 + 2 * 2 * 3 * (32 + 64) * 4 + 3 * 32 * 4);
  EXPECT_EQ(one.cache_bytes, 10 * one.cache_bytes_per_page + one.cache_bytes_rolling);
  EXPECT_EQ(three.cache_bytes, 3 * one.cache_bytes);
  EXPECT_GE(one.vector_bytes, 2 * 128 * 2 * 4) << "experts by token, of two layers";
  // Less memory than asked for by one page: one page fewer fits.
  const FitVerdict verdict = judge(one, one.total_bytes() - 1);
  EXPECT_EQ(verdict.kind, FitVerdict::Kind::kSmallerContext);
  EXPECT_EQ(verdict.context_most, 640 - 64);
}

// Entries that few layers own, counted once; tables that stay on disk.
TEST_F(Fit, CountsDeepseekV41) {
  const auto file = open_gguf(golden_path("models/v41_101.gguf"));
  ASSERT_TRUE(file.ok()) << file.error().message;
  const FitNeeds needs = count_needs(**file, {640, 1}).value();
  EXPECT_EQ(needs.obstacle, "");
  EXPECT_EQ(needs.cache_bytes_per_page, (2 * 32 + 64) * (32 + 32) * 2)
      << "two layers of pairs, one of tokens";
  EXPECT_EQ(needs.cache_bytes_rolling, 8 * 16 * 32 * 2 + 2 * 3 * 32 * 4 + 64) << "the last for three tokens";
  EXPECT_EQ(needs.cache_bytes, 10 * needs.cache_bytes_per_page + needs.cache_bytes_rolling);
  std::int64_t tables = 0;
  for (const FileTensor& tensor : (*file)->tensors())
    if (tensor.name.ends_with("engram_embd.weight")) tables += tensor.data_bytes();
  EXPECT_GT(tables, 0);
  EXPECT_EQ(needs.in_file_bytes, tables);
}

TEST_F(Fit, SpeedsAreTheMachinesLimits) {
  const FitNeeds n = needs(llama(false), {4096, 8});
  const double weights = kLayers * kLayerWeights + kHeadWeights;
  const auto bytes = static_cast<double>(n.packed_bytes);
  const double cache = 4096.0 * static_cast<double>(n.cache_bytes_per_token);
  FitMachine memory_bound;
  memory_bound.read_gb_per_second = 1;
  memory_bound.int8_gops = 1e9;
  const FitSpeed slow = speed_limits(n, memory_bound);
  EXPECT_NEAR(slow.decode_empty, 1e9 / bytes, 1e-6 * slow.decode_empty);
  EXPECT_NEAR(slow.decode_full, 1e9 / (bytes + cache), 1e-6 * slow.decode_full);
  EXPECT_NEAR(slow.together_empty, 8e9 / bytes, 1e-6 * slow.together_empty);
  EXPECT_NEAR(slow.together_full, 8e9 / (bytes + 8 * cache), 1e-6 * slow.together_full);
  FitMachine compute_bound;
  compute_bound.read_gb_per_second = 1e9;
  compute_bound.int8_gops = 1;
  const FitSpeed busy = speed_limits(n, compute_bound);
  EXPECT_NEAR(busy.decode_empty, 1e9 / (2 * weights), 1e-6 * busy.decode_empty);
  EXPECT_NEAR(busy.together_empty, busy.decode_empty, 1e-6 * busy.decode_empty);
  // A prompt's head runs for its last token alone.
  EXPECT_NEAR(busy.prefill, 512e9 / (2 * (512.0 * kLayers * kLayerWeights + kHeadWeights)),
              1e-6 * busy.prefill);
}

TEST_F(Fit, OfAMixtureATokenReadsItsExpertsOnly) {
  GgufBuilder b = llama(true);
  b.set("llama.expert_used_count", 2U);
  b.tensor("blk.0.ffn_up_exps.weight", {kWidth, kFfn, 8}, TypeId::kQ8_0, zeros(bytes_of(kWidth * kFfn * 8)));
  const FitNeeds n = needs(b), dense = needs(llama(true));
  EXPECT_EQ(n.packed_bytes, dense.packed_bytes + bytes_of(kWidth * kFfn * 8));
  FitMachine machine;
  machine.read_gb_per_second = 1;
  machine.int8_gops = 1e9;
  const double read = 1e9 / speed_limits(n, machine).decode_empty;
  EXPECT_NEAR(read, static_cast<double>(dense.packed_bytes + bytes_of(kWidth * kFfn * 2)), 1);
}

TEST_F(Fit, ExpertsAreGroupedOneByOne) {
  GgufBuilder b = llama(true);
  b.tensor("blk.0.ffn_up_exps.weight", {kWidth, 24, 4}, TypeId::kQ8_0, zeros(bytes_of(kWidth * 24 * 4)));
  // 24 rows take two groups of 16 in each of the 4 experts.
  EXPECT_EQ(needs(b).packed_bytes, needs(llama(true)).packed_bytes + bytes_of(kWidth * 32 * 4));
}

TEST_F(Fit, WhatIsNotLoadedDoesNotCount) {
  GgufBuilder b = llama(true);
  q8_0(b, "blk.2.nextn.eh_proj.weight", kWidth, kWidth);
  b.tensor("blk.20.attn_x.weight", {256, 16}, TypeId::kTQ1_0, zeros(54 * 16));
  const FitNeeds n = needs(b), plain = needs(llama(true));
  EXPECT_EQ(n.packed_bytes, plain.packed_bytes);
  EXPECT_EQ(n.work_bytes, plain.work_bytes);
  EXPECT_EQ(n.obstacle, "");
}

TEST_F(Fit, OldLatentAttentionIsRearrangedInBfloats) {
  GgufBuilder b = llama(true);
  q8_0(b, "blk.0.attn_kv_b.weight", kWidth, 32);
  const FitNeeds n = needs(b), plain = needs(llama(true));
  EXPECT_EQ(n.expanded_bytes, kWidth * 32 * 2);
  EXPECT_EQ(n.packed_bytes, plain.packed_bytes + n.expanded_bytes);
  EXPECT_EQ(n.matrix_weights, plain.matrix_weights);
  b.set("llama.attention.key_length_mla", 16U);  // the file has the two parts as well
  EXPECT_EQ(needs(b).packed_bytes, plain.packed_bytes);
}

TEST_F(Fit, KnowsEveryArchitectureOfTheGoldenModels) {
  std::set<std::string> seen;
  for (const std::string& path : golden_files("models")) {
    SCOPED_TRACE(path);
    const auto file = open_gguf(path);
    ASSERT_TRUE(file.ok()) << file.error().message;
    const auto n = count_needs(**file, {});
    ASSERT_TRUE(n.ok()) << n.error().message;
    EXPECT_EQ(n->obstacle, "");
    EXPECT_GT(n->cache_bytes_per_token, 0);
    EXPECT_GE(n->weight_bytes() + n->in_file_bytes, n->info.weight_bytes);
    seen.insert(n->info.architecture);
  }
  EXPECT_GE(seen.size(), 5U);
  EXPECT_TRUE(seen.contains("deepseek2"));
}

TEST_F(Fit, JudgesByTheByte) {
  const FitNeeds n = needs(llama(true), {4096, 1});
  const std::int64_t total = n.total_bytes(), page = 64 * n.cache_bytes_per_token;
  EXPECT_EQ(judge(n, total).kind, FitVerdict::Kind::kFits);
  EXPECT_EQ(judge(n, total).context_most, 4096);
  const FitVerdict less = judge(n, total - 1);
  EXPECT_EQ(less.kind, FitVerdict::Kind::kSmallerContext);
  EXPECT_EQ(less.missing_bytes, 1);
  EXPECT_EQ(less.context_most, 4096 - 64);
  FitRequest largest{less.context_most, 1};
  EXPECT_EQ(judge(needs(llama(true), largest), total - 1).kind, FitVerdict::Kind::kFits)
      << "what the verdict proposes must fit";
  EXPECT_EQ(judge(n, total - 56 * page).kind, FitVerdict::Kind::kSmallerContext) << "512 tokens are left";
  EXPECT_EQ(judge(n, total - 57 * page).kind, FitVerdict::Kind::kTooLarge);
  EXPECT_EQ(judge(n, 1000).context_most, 0);
  const FitNeeds three = needs(llama(true), {4096, 3});
  EXPECT_EQ(judge(three, three.total_bytes()).parallel_most, 3);
  EXPECT_EQ(judge(three, three.total_bytes() - 1).parallel_most, 2);
  EXPECT_EQ(judge(three, three.total_bytes() - 1).context_most, 4096 - 64);
}

TEST_F(Fit, NamesTheLargestQuantizationThatFits) {
  const FitNeeds n = needs(llama(true), {512, 1});
  const FitVerdict v = judge(n, n.total_bytes() - 1);
  ASSERT_EQ(v.kind, FitVerdict::Kind::kTooLarge);
  ASSERT_TRUE(v.smaller);
  EXPECT_TRUE(v.smaller->fits);
  EXPECT_EQ(v.smaller->type, "Q6_K");
  const FitVerdict hopeless = judge(n, 1000);
  ASSERT_TRUE(hopeless.smaller);
  EXPECT_FALSE(hopeless.smaller->fits);
  EXPECT_GT(hopeless.smaller->total_bytes, 1000);
}

TEST_F(Fit, ExitsWithTheVerdict) {
  const std::string path = write(llama(true));
  const std::int64_t total = needs(llama(true)).total_bytes();
  const std::vector<std::string> machine = {"--bandwidth", "10", "--gops", "100", "--json"};
  std::string out;
  const auto with = [&](std::vector<std::string> words) {
    words.insert(words.begin(), path);
    words.insert(words.end(), machine.begin(), machine.end());
    return run(words, out);
  };
  EXPECT_EQ(with({"--ram", std::to_string(total)}), 0) << out;
  json said = json::parse(out);
  EXPECT_EQ(said["verdict"], "fits");
  EXPECT_EQ(said["total_bytes"], total);
  EXPECT_EQ(said["machine"]["measured"], false);
  EXPECT_EQ(said["machine"]["threads"], nullptr);
  EXPECT_EQ(with({"--ram", std::to_string(total - 1)}), 1);
  said = json::parse(out);
  EXPECT_EQ(said["fits"], false);
  EXPECT_EQ(said["missing_bytes"], 1);
  EXPECT_EQ(with({"--ram", "64GiB"}), 0);
  EXPECT_EQ(json::parse(out)["available_bytes"], std::int64_t{64} << 30);
  EXPECT_EQ(run({path, "--ram", "512G", "--bandwidth", "10", "--gops", "100"}, out), 0);
  for (const char* text : {"Tiny (llama)", "of 512 GB available", "verdict         fits"})
    EXPECT_NE(out.find(text), std::string::npos) << text << " in\n" << out;
}

TEST_F(Fit, SaysWhyAFileCannotRun) {
  GgufBuilder unknown;
  unknown.set("general.architecture", "mamba");
  q8_0(unknown, "token_embd.weight", kWidth, kVocabulary);
  std::string out;
  EXPECT_EQ(run({write(unknown), "--ram", "1TB"}, out), 1);
  for (const char* text : {"does not run: architecture 'mamba'", "not known for this architecture"})
    EXPECT_NE(out.find(text), std::string::npos) << text << " in\n" << out;
  EXPECT_EQ(run({write(unknown), "--ram", "1TB", "--json"}, out), 1);
  EXPECT_FALSE(json::parse(out).contains("tokens_per_second_at_most"));

  GgufBuilder type = llama(true);
  type.tensor("blk.0.attn_gate.weight", {256, 16}, TypeId::kTQ1_0, zeros(54 * 16));
  EXPECT_EQ(run({write(type), "--ram", "1TB", "--bandwidth", "1", "--gops", "1"}, out), 1);
  EXPECT_NE(out.find("does not run: this version cannot compute with weights of type TQ1_0"),
            std::string::npos)
      << out;
}

TEST_F(Fit, NonsenseIsAnErrorAndHugeWishesDoNotOverflow) {
  GgufBuilder b = llama(true);
  b.set("llama.attention.value_length", 7U);
  std::string out;
  EXPECT_EQ(run({write(b), "--ram", "1TB"}, out), 1);
  EXPECT_NE(out.find("do not fit together"), std::string::npos) << out;
  const FitNeeds huge = needs(llama(true), {std::int64_t{1} << 62, 4096});
  EXPECT_EQ(huge.total_bytes(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(judge(huge, 1 << 30).kind, FitVerdict::Kind::kSmallerContext);
  GgufBuilder none;
  none.set("general.architecture", "llama");
  EXPECT_EQ(run({write(none), "--ram", "1TB"}, out), 1);
  EXPECT_NE(out.find("llama.context_length"), std::string::npos) << out;
}

}  // namespace
}  // namespace deepwell
