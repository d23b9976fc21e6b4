// SPDX-License-Identifier: Apache-2.0
// Goal: a directory that is not whole gives one line that names the file and says what to do.
// Method: a golden checkpoint in shards, copied, and broken in one thing each.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/checkpoint/checkpoint.h"
#include "support/temp_dir.h"

namespace deepwell {
namespace {

namespace fs = std::filesystem;

const char* const kSecond = "model-00002-of-00002.safetensors";

class DirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    const fs::path golden =
        fs::path(DEEPWELL_SOURCE_DIR) / "tests" / "golden" / "engine" / "checkpoints" / "v3_released";
    for (const auto& entry : fs::directory_iterator(golden))
      if (entry.path().filename() != "golden.safetensors")
        fs::copy(entry.path(), folder() / entry.path().filename());
  }
  fs::path folder() const { return fs::path(dir_.path()); }
  std::string read(const std::string& name) const {
    std::ifstream in(folder() / name, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  void write(const std::string& name, const std::string& content) const {
    std::ofstream(folder() / name, std::ios::binary) << content;
  }
  void replace(const std::string& name, const std::string& from, const std::string& to) const {
    std::string text = read(name);
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    write(name, text.replace(at, from.size(), to));
  }
  void expect_error(const char* file, const char* says) const {
    const auto opened = open_weights(folder().string());
    ASSERT_FALSE(opened.ok());
    const std::string& message = opened.error().message;
    EXPECT_NE(message.find(says), std::string::npos) << message;
    EXPECT_NE(message.find(file), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
  testing_support::TempDir dir_;
};

TEST_F(DirectoryTest, OpensByItsNameOrByAFileInIt) {
  for (const char* name : {"", kSecond, "model.safetensors.index.json"}) {
    const auto opened = open_weights((folder() / name).string());
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    EXPECT_EQ((*opened)->architecture(), "deepseek2");
  }
}

TEST_F(DirectoryTest, TensorsHaveTheShapesOfGguf) {
  const auto opened = open_weights(folder().string());
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  const FileTensor* experts = (*opened)->find("blk.1.ffn_down_exps.weight");
  ASSERT_NE(experts, nullptr);
  EXPECT_EQ(experts->shape, (std::array<std::int64_t, 4>{16, 64, 8, 1}));
  const FileTensor* k_b = (*opened)->find("blk.0.attn_k_b.weight");
  ASSERT_NE(k_b, nullptr);
  EXPECT_EQ(k_b->shape, (std::array<std::int64_t, 4>{32, 32, 4, 1}));
  EXPECT_EQ((*opened)->find("blk.2.nextn.eh_proj.weight"), nullptr);
  EXPECT_EQ((*opened)->metadata().integer("deepseek2.block_count"), 2);
}

TEST_F(DirectoryTest, AMissingShardIsNamed) {
  fs::remove(folder() / kSecond);
  expect_error(kSecond, "is missing");
}

TEST_F(DirectoryTest, AShardCutShortIsNamed) {
  fs::resize_file(folder() / kSecond, fs::file_size(folder() / kSecond) - 1000);
  expect_error(kSecond, "download is incomplete");
}

TEST_F(DirectoryTest, ShardsOfOtherModelsAreNoticed) {
  fs::copy(folder() / "model-00001-of-00002.safetensors", folder() / kSecond,
           fs::copy_options::overwrite_existing);
  expect_error(kSecond, "is also in");
}

TEST_F(DirectoryTest, AnIndexThatNamesTheWrongShardIsNoticed) {
  replace("model.safetensors.index.json", "model-00001-of-00002", "model-00002-of-00002");
  expect_error(kSecond, "fetch the directory again");
}

TEST_F(DirectoryTest, AnIndexDoesNotLeaveItsDirectory) {
  replace("model.safetensors.index.json", "model-00001-of-00002", "../model-1");
  expect_error("model.safetensors.index.json", "in no file of this directory");
}

TEST_F(DirectoryTest, ShardsWithoutAnIndexAreNotGuessed) {
  fs::remove(folder() / "model.safetensors.index.json");
  expect_error("model.safetensors.index.json", "2 .safetensors files");
}

TEST_F(DirectoryTest, ConfigurationsAreChecked) {
  const std::string good = read("config.json");
  const struct {
    const char *from, *to, *says;
  } kCases[] = {
      {"\"deepseek_v3\"", "\"gpt_neox\"", "model_type 'gpt_neox' is not supported"},
      {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "model.layers.2."},
      {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 0", "not in 1.."},
      {"\"hidden_size\"", "\"hidden\"", "'hidden_size' is missing"},
      {"\"v_head_dim\": 24", "\"v_head_dim\": 25", "kv_b_proj"},
      {"\"n_routed_experts\": 8", "\"n_routed_experts\": 9", "experts.8."},
      {"\"type\": \"yarn\"", "\"type\": \"longrope\"", "'longrope'"},
      {"\"mscale\": 1.0", "\"mscale\": 0.5", "mscale 0.5"},
      {"{", "[", "no JSON object"},
  };
  for (const auto& each : kCases) {
    SCOPED_TRACE(each.to);
    write("config.json", good);
    replace("config.json", each.from, each.to);
    expect_error(folder().c_str(), each.says);
  }
  fs::remove(folder() / "config.json");
  expect_error("config.json", "fetch it");
}

}  // namespace
}  // namespace deepwell
