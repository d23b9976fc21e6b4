// SPDX-License-Identifier: Apache-2.0
// Goal: a converted file holds the model it was made of.
// Method: golden checkpoints of every family and precision, converted as they are: the file's logits are the
// directory's to the last bit where no type changed, and close where one had to. Then every type there is.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "engine/checkpoint/checkpoint.h"
#include "engine/convert/convert.h"
#include "engine/models/loader.h"
#include "support/run_tokens.h"
#include "support/temp_dir.h"

namespace deepwell {
namespace {

using testing_support::TempDir;

std::string golden(const std::string& name) {
  return std::string(DEEPWELL_SOURCE_DIR) + "/tests/golden/engine/checkpoints/" + name;
}

std::vector<float> logits_of(std::shared_ptr<const ModelFile> file) {
  auto runner = Runner::load(std::move(file), {2, CacheType::kF32, true, 64});
  EXPECT_TRUE(runner.ok()) << runner.error().message;
  std::vector<std::int32_t> tokens;
  for (std::int32_t i = 0; i < 24; ++i) tokens.push_back(i * 7 % 60);
  return runner.ok() ? testing_support::run_tokens(**runner, tokens, 24) : std::vector<float>();
}

std::unique_ptr<ModelFile> converted(const ModelFile& from, const Quantizer* type, const std::string& path,
                                     bool all_drafting = false) {
  const auto plan = plan_conversion(from, type, all_drafting);
  EXPECT_TRUE(plan.ok()) << plan.error().message;
  if (!plan.ok()) return nullptr;
  ThreadPool pool(2);
  std::ofstream out(path, std::ios::binary);
  std::int64_t said = 0;
  const Status written = write_conversion(
      from, *plan, pool,
      [&](std::span<const std::byte> bytes) -> Status {
        out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        return Done{};
      },
      [&](std::int64_t bytes) {
        said = bytes;
        return true;
      });
  EXPECT_TRUE(written.ok()) << written.error().message;
  out.close();
  EXPECT_EQ(static_cast<std::int64_t>(std::filesystem::file_size(path)), plan->file_bytes);
  EXPECT_LE(said, plan->file_bytes);
  auto opened = open_gguf(path);
  EXPECT_TRUE(opened.ok()) << opened.error().message;
  return opened.ok() ? std::move(*opened) : nullptr;
}

double farthest(const std::vector<float>& a, const std::vector<float>& b) {
  double most = a.size() == b.size() && !a.empty() ? 0 : INFINITY;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i)
    most = std::max(most, std::fabs(double{a[i]} - double{b[i]}));
  return most;
}

class ConvertTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto opened = open_checkpoint(golden(GetParam()));
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    from_ = std::move(*opened);
  }
  std::string path() const { return (dir_.path() / "model.gguf").string(); }
  TempDir dir_;
  std::shared_ptr<const ModelFile> from_;
};

TEST_P(ConvertTest, KeepingTypesKeepsTheLogits) {
  const auto to = converted(*from_, nullptr, path());
  ASSERT_NE(to, nullptr);
  for (const FileTensor& tensor : from_->tensors()) {
    const FileTensor* found = to->find(tensor.name);
    ASSERT_NE(found, nullptr) << tensor.name;
    EXPECT_EQ(found->shape, tensor.shape) << tensor.name;
  }
  // Types that only memory has become the nearest one of a file.
  const bool changes = GetParam() == "v3_fp8" || GetParam() == "qwen2_awq";
  EXPECT_LE(farthest(logits_of(from_),
                     logits_of(std::shared_ptr<const ModelFile>(open_gguf(path()).value().release()))),
            changes ? 0.1 : 0.0);
}

INSTANTIATE_TEST_SUITE_P(Families, ConvertTest,
                         testing::Values("llama_llama3", "llama_tied", "qwen2", "qwen3", "qwen3moe",
                                         "v2_lite", "v3_released", "v32", "v3_fp8", "v3_fp4", "llama_gptq",
                                         "qwen2_awq"));

TEST(Convert, EveryTypeGivesALoadableFileNearTheModel) {
  auto opened = open_checkpoint(golden("v3_fp8"));
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  const std::shared_ptr<const ModelFile> from = std::move(*opened);
  const auto want = logits_of(from);
  TempDir dir;
  for (const Quantizer& type : all_quantizers()) {
    const std::string name(type_info(type.type).name);
    SCOPED_TRACE(name);
    std::shared_ptr<const ModelFile> to = converted(*from, &type, (dir.path() / (name + ".gguf")).string());
    ASSERT_NE(to, nullptr);
    const bool coarse = type_info(type.type).block_bytes * 8 <= 6 * type_info(type.type).block_elements;
    EXPECT_LE(farthest(want, logits_of(to)), coarse ? 4.0 : 0.3);
    EXPECT_EQ(to->find("blk.0.ffn_gate_inp.weight")->type, TypeId::kF32);
    EXPECT_EQ(to->find("blk.0.attn_norm.weight")->type, TypeId::kF32);
  }
}

TEST(Convert, TokensAreAsManyAsRowsOfTheTable) {
  Metadata vocabulary;
  vocabulary.values["tokenizer.ggml.model"] = std::string("gpt2");
  vocabulary.values["tokenizer.ggml.tokens"] = std::vector<std::string>(60, "x");
  vocabulary.values["tokenizer.ggml.token_type"] = std::vector<std::int64_t>(60, 1);
  vocabulary.values["deepwell.tokenizer.ignore_merges"] = true;
  const auto from = open_checkpoint(golden("llama_tied"), vocabulary);
  ASSERT_TRUE(from.ok()) << from.error().message;
  const auto plan = plan_conversion(**from, nullptr);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->metadata.texts("tokenizer.ggml.tokens")->size(), 64U);
  EXPECT_EQ(plan->metadata.integers("tokenizer.ggml.token_type").back(), 5);
  EXPECT_FALSE(plan->metadata.has("deepwell.tokenizer.ignore_merges"));
}

// V3's layer that drafts has names that other programs know. V4's has not, so it must be asked for.
TEST(Convert, KeepsTheLayerThatDrafts) {
  const TempDir temp;
  for (const auto& [name, always] : {std::pair{"deepseek2_1", true}, std::pair{"deepseek4_1", false}}) {
    SCOPED_TRACE(name);
    const auto from = open_checkpoint(std::string(DEEPWELL_SOURCE_DIR) + "/tests/golden/engine/mtp/" + name);
    ASSERT_TRUE(from.ok()) << from.error().message;
    ASSERT_TRUE(has_drafting_layer(**from));
    const auto plain = converted(**from, nullptr, temp / "plain.gguf");
    const auto with = converted(**from, nullptr, temp / "with.gguf", /*all_drafting=*/true);
    ASSERT_TRUE(plain && with);
    EXPECT_EQ(has_drafting_layer(*plain), always);
    EXPECT_TRUE(has_drafting_layer(*with));
    EXPECT_EQ(with->tensors().size(), (*from)->tensors().size());
    const auto loaded =
        Runner::load(open_gguf(temp / "with.gguf").value(), {1, CacheType::kF32, true, 64, true});
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    EXPECT_GT((*loaded)->model().state_width(), 0);
  }
}

}  // namespace
}  // namespace deepwell
