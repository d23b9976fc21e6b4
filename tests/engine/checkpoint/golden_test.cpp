// SPDX-License-Identifier: Apache-2.0
// Goal: a checkpoint's directory computes what transformers computes with it, in every family and precision.
// Method: tests/golden/engine/checkpoints (scripts/golden_checkpoints.py): tiny random checkpoints with the
// reference's logits in float32.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "base/mapped_file.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/quant/weight_format.h"
#include "support/run_tokens.h"

namespace deepwell {
namespace {

std::vector<std::string> checkpoints() {
  std::vector<std::string> folders;
  std::error_code missing;
  const std::string all = std::string(DEEPWELL_SOURCE_DIR) + "/tests/golden/engine/checkpoints";
  for (const auto& entry : std::filesystem::directory_iterator(all, missing))
    if (entry.is_directory()) folders.push_back(entry.path().string());
  std::sort(folders.begin(), folders.end());
  return folders;
}

template <class T>
std::vector<T> values_of(const std::vector<SafetensorsEntry>& entries, std::string_view name) {
  for (const SafetensorsEntry& entry : entries) {
    if (entry.name != name) continue;
    std::vector<T> values(entry.bytes.size() / sizeof(T));
    std::memcpy(values.data(), entry.bytes.data(), entry.bytes.size());
    return values;
  }
  return {};
}

class GoldenCheckpointTest : public testing::TestWithParam<std::string> {};

TEST_P(GoldenCheckpointTest, LogitsAreTheReferences) {
  const auto golden = MappedFile::open(GetParam() + "/golden.safetensors");
  ASSERT_TRUE(golden.ok()) << golden.error().message;
  const auto entries = parse_safetensors(golden->bytes(), "golden.safetensors");
  ASSERT_TRUE(entries.ok()) << entries.error().message;
  const auto tokens = values_of<std::int32_t>(*entries, "tokens");
  const auto want = values_of<float>(*entries, "logits");
  ASSERT_GE(tokens.size(), 40U);

  auto file = open_checkpoint(GetParam());
  ASSERT_TRUE(file.ok()) << file.error().message;
  auto runner =
      Runner::load(std::shared_ptr<const ModelFile>(std::move(*file)), {2, CacheType::kF32, true, 256});
  ASSERT_TRUE(runner.ok()) << runner.error().message;
  for (const std::int64_t chunk : {std::int64_t{160}, std::int64_t{7}, std::int64_t{1}}) {
    const std::vector<float> got = testing_support::run_tokens(**runner, tokens, chunk);
    ASSERT_EQ(got.size(), want.size());
    double most = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      const double difference = std::fabs(double{got[i]} - double{want[i]});
      most = difference <= most ? most : difference;  // NaN counts as far
    }
    EXPECT_LE(most, 1e-4) << "chunks of " << chunk;  // logits reach about 4
  }
}

/// Compares the entries "rows.NAME" with the first rows of the tensor NAME; returns how many there were.
int compare_rows(const ModelFile& file, const std::vector<SafetensorsEntry>& entries) {
  int compared = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (!entry.name.starts_with("rows.")) continue;
    const FileTensor* const tensor = file.find(entry.name.substr(5));
    EXPECT_NE(tensor, nullptr) << entry.name;
    if (tensor == nullptr || entry.shape[1] != tensor->row_length()) return -1;
    const std::int64_t k = tensor->row_length();
    std::vector<std::byte> memory(static_cast<std::size_t>(tensor->row_bytes()));
    std::vector<float> got(static_cast<std::size_t>(k));
    for (std::int64_t row = 0; row < entry.shape[0]; ++row) {
      find_weight_format(tensor->type)
          ->dequantize(tensor->data().at(row, tensor->row_bytes(), memory.data()), k, got.data());
      EXPECT_EQ(std::memcmp(got.data(), entry.bytes.data() + row * k * 4, static_cast<std::size_t>(k) * 4), 0)
          << entry.name << " row " << row;
    }
    ++compared;
  }
  return compared;
}

TEST_P(GoldenCheckpointTest, QuantizedRowsAreTheReferencesBitForBit) {
  const auto golden = MappedFile::open(GetParam() + "/golden.safetensors");
  ASSERT_TRUE(golden.ok()) << golden.error().message;
  const auto entries = parse_safetensors(golden->bytes(), "golden.safetensors");
  ASSERT_TRUE(entries.ok()) << entries.error().message;
  const auto file = open_checkpoint(GetParam());
  ASSERT_TRUE(file.ok()) << file.error().message;
  const int compared = compare_rows(**file, *entries);
  const std::string name = std::filesystem::path(GetParam()).filename().string();
  const bool quantized = name.find("fp") != std::string::npos || name.find("gptq") != std::string::npos ||
                         name.find("awq") != std::string::npos;
  EXPECT_EQ(compared, quantized ? 1 : 0);
}

INSTANTIATE_TEST_SUITE_P(EveryFolder, GoldenCheckpointTest, testing::ValuesIn(checkpoints()),
                         [](const auto& test) {
                           return std::filesystem::path(test.param).filename().string();
                         });

/// V4.1's directory, with the numbers of its tokens that the vocabulary's reader would add.
TEST(GoldenCheckpoint41, MatricesAndHashesAreTheReferences) {
  const std::string folder = std::string(DEEPWELL_SOURCE_DIR) + "/tests/golden/engine/checkpoint41";
  const auto golden = MappedFile::open(folder + "/golden.safetensors");
  ASSERT_TRUE(golden.ok()) << golden.error().message;
  const auto entries = parse_safetensors(golden->bytes(), "golden.safetensors");
  ASSERT_TRUE(entries.ok()) << entries.error().message;
  const auto numbers = values_of<std::int32_t>(*entries, "token_map");
  Metadata extra;
  extra.values["deepseek41.engram.token_map"] = std::vector<std::int64_t>(numbers.begin(), numbers.end());
  const auto file = open_checkpoint(folder, extra);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(compare_rows(**file, *entries), 4);
  const Metadata& metadata = (*file)->metadata();
  EXPECT_EQ(metadata.integers("deepseek41.engram.layer_ids"), (std::vector<std::int64_t>{1, 3}));
  EXPECT_EQ(metadata.integer("deepseek41.engram.pad_id"), numbers[2]);
  EXPECT_EQ(metadata.integers("deepseek41.engram.multipliers").size(), 6U);
  EXPECT_EQ(metadata.integers("deepseek41.attention.compress_ratios"),
            (std::vector<std::int64_t>{0, 2, 1, 1}));
  const auto offsets = metadata.integers("deepseek41.engram.offsets");
  const auto primes = metadata.integers("deepseek41.engram.primes");
  ASSERT_EQ(offsets.size(), 8U);
  for (const std::size_t layer : {0U, 1U}) {
    const FileTensor* const table =
        (*file)->find(layer == 0 ? "blk.1.engram_embd.weight" : "blk.3.engram_embd.weight");
    ASSERT_NE(table, nullptr);
    EXPECT_EQ(table->rows(), offsets[layer * 4 + 3] + primes[layer * 4 + 3]);
  }
  EXPECT_EQ((*file)->find("blk.0.exp_probs_b_vl.bias")->rows(), 1);
  ASSERT_NE(metadata.texts("deepwell.left_out"), nullptr);
  EXPECT_EQ(metadata.texts("deepwell.left_out")->size(), 2U);
  extra.values["deepseek41.engram.token_map"] = std::vector<std::int64_t>(numbers.size(), 0);
  const auto other = open_checkpoint(folder, extra);
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.error().message.find("of another model"), std::string::npos) << other.error().message;
}

TEST(GoldenCheckpoints, AreAllThere) {
  EXPECT_GE(checkpoints().size(), 14U) << "run scripts/golden_checkpoints.py";
}

}  // namespace
}  // namespace deepwell
