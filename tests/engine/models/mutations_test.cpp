// SPDX-License-Identifier: Apache-2.0
// Goal: whatever bytes a model file has, loading ends in an error or in a model that can be run: no crash, no
// hang. Method: 1,000 seeded mutations of tiny whole models: flipped bytes (mostly in the header), extreme
// numbers over 4 and 8 bytes, NaN and infinity over weights. Run it under AddressSanitizer too.
#include <gtest/gtest.h>

#include <map>

#include "support/cpu_time.h"
#include "support/golden_file.h"
#include "support/run_tokens.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace deepwell {
namespace {

using namespace testing_support;

std::string mutated(std::string bytes, std::mt19937_64& random) {
  const std::size_t header = std::min<std::size_t>(bytes.size(), 2600);
  const auto extreme = [&]() -> std::uint64_t {
    const std::uint64_t all[] = {
        0,     1,          2,          3,          0x7f, 0xff,   0x7fffffff, 0xffffffff, 0x7fffffffffffffff,
        ~0ULL, 0x7fc00000, 0x7f800000, 0xff800000, 4096, 1 << 20};
    return all[random() % std::size(all)];
  };
  for (std::uint64_t left = 1 + random() % 3; left > 0; --left) {
    const std::size_t range = random() % 4 == 0 ? bytes.size() : header;
    const std::size_t at = random() % (range - 8);
    const std::uint64_t value = extreme();
    switch (random() % 4) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      case 2:
        std::memcpy(bytes.data() + at, &value, 4);
        break;
      default:
        std::memcpy(bytes.data() + at, &value, 8);
    }
  }
  return bytes;
}

struct Outcome {
  int loaded = 0;
  double slowest_seconds = 0;
};

/// Writes, loads and, when that works, runs `rounds` mutations of the models in turn.
Outcome run_mutations(const std::vector<std::string>& whole, int rounds, std::uint64_t seed) {
  const TempDir temp;
  std::mt19937_64 random(seed);
  Outcome outcome;
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE(testing::Message() << "mutation " << round);
    const std::string path =
        temp.write("m.gguf", mutated(whole[static_cast<std::size_t>(round) % whole.size()], random));
    const double begin = cpu_seconds();
    auto runner = load_runner(path, {1, static_cast<CacheType>(round % 4), round % 3 == 0, 128});
    if (runner.ok()) {
      ++outcome.loaded;
      const std::int64_t vocabulary = (*runner)->model().shape().vocabulary;
      std::vector<std::int32_t> tokens;
      for (std::int64_t i = 0; i < 5; ++i) tokens.push_back(static_cast<std::int32_t>(i * 3 % vocabulary));
      EXPECT_EQ(run_tokens(**runner, tokens, 4).size(), tokens.size() * static_cast<std::size_t>(vocabulary));
    } else {
      EXPECT_FALSE(runner.error().message.empty());
      EXPECT_EQ(runner.error().message.find('\n'), std::string::npos) << runner.error().message;
    }
    outcome.slowest_seconds = std::max(outcome.slowest_seconds, cpu_seconds() - begin);
  }
  std::printf("   %d of %d loaded; the slowest took %.3f s\n", outcome.loaded, rounds,
              outcome.slowest_seconds);
  return outcome;
}

TEST(ModelMutations, TinyModelsLoadAndRunOrSayWhyNot) {
  std::vector<std::string> whole;
  for (int i = 0; i < 4; ++i) {
    TinyModel model;
    model.architecture = i % 2 == 0 ? "llama" : "qwen2";
    model.layers = 1;
    model.width = 16;
    model.heads = 2;
    model.kv_heads = 1;
    model.head_dim = i == 3 ? 6 : 8;
    model.ffn = 24;
    model.vocabulary = 20;
    model.tied = i == 2;
    model.biases = i % 2 == 1;
    GgufBuilder builder = model.build();
    if (i == 2) builder.set("llama.rope.scaling.type", "yarn").set("llama.rope.scaling.factor", 4.0F);
    whole.push_back(builder.build());
  }
  const Outcome outcome = run_mutations(whole, 1000, 2026);
  EXPECT_LT(outcome.slowest_seconds, 5.0);
  // Both outcomes must be common, or the mutations test nothing.
  EXPECT_GT(outcome.loaded, 100);
  EXPECT_LT(outcome.loaded, 900);
}

std::vector<std::string> one_of_each_architecture() {
  std::map<std::string, std::string> by_architecture;
  for (const std::string& path : golden_files("models")) {
    const auto file = open_gguf(path);
    EXPECT_TRUE(file.ok()) << path;
    if (file.ok()) by_architecture[(*file)->architecture()] = path;
  }
  std::vector<std::string> paths;
  for (const auto& [architecture, path] : by_architecture) paths.push_back(path);
  return paths;
}

TEST(ModelMutations, GoldenModelsOfEveryArchitectureLoadAndRunOrSayWhyNot) {
  std::vector<std::string> whole;
  for (const std::string& path : one_of_each_architecture()) whole.push_back(read_file(path));
  ASSERT_GE(whole.size(), 2U);
  const Outcome outcome = run_mutations(whole, 600, 2027);
  EXPECT_LT(outcome.slowest_seconds, 5.0);
  EXPECT_GT(outcome.loaded, 60);
}

// NaN in any one tensor of every architecture, over more tokens than a sparse attention keeps.
TEST(ModelMutations, NanInAnyTensorOfAGoldenModelGivesNothingWorse) {
  const TempDir temp;
  std::vector<std::int32_t> tokens(90);
  std::iota(tokens.begin(), tokens.end(), 0);
  for (const std::string& path : one_of_each_architecture()) {
    const std::string whole = read_file(path);
    const auto file = open_gguf(path);
    for (const FileTensor& tensor : (*file)->tensors()) {
      if (tensor.name.starts_with("golden.") || tensor.name == "rope_freqs.weight") continue;
      if (tensor.type == TypeId::kI32) continue;  // no NaN among integers
      SCOPED_TRACE(path + " " + tensor.name);
      const std::size_t at =
          whole.find(std::string(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size()));
      ASSERT_NE(at, std::string::npos);
      std::string bytes = whole;
      for (std::size_t i = 0; i < tensor.bytes.size(); ++i)
        bytes[at + i] = i % 2 == 0 ? '\0' : '\x7e';  // 0x7e00: NaN as a half
      if (tensor.type == TypeId::kF32)
        for (std::size_t i = 0; i + 4 <= tensor.bytes.size(); i += 4)
          std::memcpy(bytes.data() + at + i, "\0\0\xc0\x7f", 4);
      const auto runner = load_runner(temp.write("m.gguf", bytes), {2, CacheType::kF16, false, 128});
      ASSERT_TRUE(runner.ok()) << runner.error().message;
      const auto logits = run_tokens(**runner, tokens, 45);
      EXPECT_EQ(logits.size(),
                tokens.size() * static_cast<std::size_t>((*runner)->model().shape().vocabulary));
    }
  }
}

TEST(ModelMutations, WeightsOfNanGiveNanAndNothingWorse) {
  const TempDir temp;
  for (const char* tensor :
       {"token_embd.weight", "blk.0.attn_k.weight", "blk.1.ffn_norm.weight", "output.weight"}) {
    TinyModel model;
    model.with_nans = tensor;
    model.build().write(temp / "m.gguf");
    for (const bool exact : {true, false}) {
      const auto runner = load_runner(temp / "m.gguf", {2, CacheType::kF16, exact, 128});
      ASSERT_TRUE(runner.ok());
      const auto logits = run_tokens(**runner, {1, 2, 3, 4, 5}, 3);
      EXPECT_EQ(logits.size(), 5U * 128U);
    }
  }
}

}  // namespace
}  // namespace deepwell
