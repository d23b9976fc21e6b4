// SPDX-License-Identifier: Apache-2.0
// Goal: experts read from disk give the bits that experts in memory give, however few fit into the cache; a
// disk that fails is an error of the step, and a later step works again.
// Method: the tiny mixtures of tests/golden/engine/models, prompts and single tokens.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "engine/formats/file_place.h"
#include "engine/run/describe.h"
#include "support/golden_file.h"
#include "support/run_tokens.h"
#include "support/temp_dir.h"

namespace deepwell {
namespace {

using namespace testing_support;

std::string golden(const std::string& name) { return golden_path("models/" + name + ".gguf"); }

std::vector<std::int32_t> some_tokens(const Runner& runner, int count) {
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < count; ++i)
    tokens.push_back(static_cast<std::int32_t>((i * 7919 + 3) % runner.model().shape().vocabulary));
  return tokens;
}

RunnerOptions with_cache(std::int64_t bytes) {
  RunnerOptions options;
  options.threads = 2;
  options.cache_tokens = 1024;
  options.expert_cache_bytes = bytes;
  return options;
}

class ExpertStoreTest : public testing::TestWithParam<std::string> {};

TEST_P(ExpertStoreTest, GivesTheBitsOfMemory) {
  const auto whole = load_runner(golden(GetParam()), with_cache(0));
  ASSERT_TRUE(whole.ok()) << whole.error().message;
  EXPECT_EQ((*whole)->expert_store(), nullptr);
  const std::vector<std::int32_t> tokens = some_tokens(**whole, 40);
  const auto prompt = run_tokens(**whole, tokens, 24, true), single = run_tokens(**whole, tokens, 1);

  const auto too_small = load_runner(golden(GetParam()), with_cache(1));
  ASSERT_FALSE(too_small.ok());
  EXPECT_NE(too_small.error().message.find("--expert-cache"), std::string::npos) << too_small.error().message;

  std::int64_t misses_before = 0;
  for (const bool all : {true, false}) {  // every expert has a place; four have
    const auto first = load_runner(golden(GetParam()), with_cache(std::int64_t{1} << 30));
    ASSERT_TRUE(first.ok()) << first.error().message;
    const std::int64_t bytes = all ? std::int64_t{1} << 30 : (*first)->expert_store()->bytes_at_least();
    const auto streamed = load_runner(golden(GetParam()), with_cache(bytes));
    ASSERT_TRUE(streamed.ok()) << streamed.error().message;
    EXPECT_EQ(run_tokens(**streamed, tokens, 24, true), prompt);
    EXPECT_EQ(run_tokens(**streamed, tokens, 1), single);
    const ExpertStore::Stats stats = (*streamed)->expert_store()->stats();
    EXPECT_GT(stats.misses, misses_before) << "a smaller cache must miss more";
    misses_before = stats.misses;
  }
}

INSTANTIATE_TEST_SUITE_P(Mixtures, ExpertStoreTest,
                         testing::Values("v2_lite_41", "v3_61", "qwen3moe_31", "v4_91", "deepseek_81"),
                         [](const auto& one) { return one.param; });

TEST(ExpertStoreFailureTest, AFileThatBecameShorterEndsTheStepAndNotTheProgram) {
  const TempDir temp;
  const std::string path = temp / "model.gguf";
  std::filesystem::copy_file(golden("v2_lite_41"), path);
  const auto size = std::filesystem::file_size(path);
  const auto probe = load_runner(path, with_cache(std::int64_t{1} << 30));
  ASSERT_TRUE(probe.ok());
  const auto runner = load_runner(path, with_cache((*probe)->expert_store()->bytes_at_least()));
  ASSERT_TRUE(runner.ok()) << runner.error().message;
  (*runner)->pack_rest();
  const std::vector<std::int32_t> tokens = some_tokens(**runner, 24);
  const auto want = run_tokens(**runner, tokens, 24, true);
  // What is lost is put back afterwards. The token table comes first in the file and stays.
  std::ifstream in(path, std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(in)), {});
  const FileTensor* last_expert = nullptr;
  const auto file = open_gguf(path);
  ASSERT_TRUE(file.ok());
  for (const FileTensor& tensor : (*file)->tensors())
    if (tensor.name.find("_exps.") != std::string::npos) last_expert = &tensor;
  ASSERT_NE(last_expert, nullptr);
  const auto* const placed = dynamic_cast<const PlacedFile*>(file->get());
  ASSERT_NE(placed, nullptr);
  ASSERT_EQ(::truncate(path.c_str(), placed->place(last_expert->bytes).offset), 0);
  {
    SequenceCache cache((*runner)->cache());
    cache.grow(24);
    std::vector<std::int32_t> positions(24), outputs = {23};
    for (int i = 0; i < 24; ++i) positions[static_cast<std::size_t>(i)] = i;
    const std::vector<BatchSequence> sequences = {{0, 24, &cache, true}};
    std::vector<float> logits(static_cast<std::size_t>((*runner)->model().shape().vocabulary));
    const Status status = (*runner)->forward({tokens, positions, sequences, outputs}, logits.data());
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kIo);
    EXPECT_NE(status.error().message.find("model.gguf"), std::string::npos) << status.error().message;
  }
  std::ofstream(path, std::ios::binary | std::ios::in | std::ios::out)
      .write(content.data(), std::ssize(content));
  ASSERT_EQ(std::filesystem::file_size(path), size);
  EXPECT_EQ(run_tokens(**runner, tokens, 24, true), want);
}

TEST(ExpertCacheForTest, StreamsOnlyWhatDoesNotFit) {
  const WeightSizes weights{8'000'000'000, 1'000'000'000};
  EXPECT_EQ(expert_cache_for(weights, 200'000'000, 16'000'000'000), 0);
  EXPECT_EQ(expert_cache_for(weights, 200'000'000, 0), 0);
  EXPECT_EQ(expert_cache_for({0, 20'000'000'000}, 0, 4'000'000'000), 0);
  const std::int64_t cache = expert_cache_for(weights, 200'000'000, 4'000'000'000);
  EXPECT_GT(cache, 2'000'000'000);
  EXPECT_LT(cache, 2'800'000'000);
  EXPECT_EQ(expert_cache_for(weights, 200'000'000, 1'000'000'000), 1);
  EXPECT_EQ(expert_cache_for({100'000'000, 50'000'000}, 20'000'000, 400'000'000), 0)
      << "it fits a small machine";
}

}  // namespace
}  // namespace deepwell
