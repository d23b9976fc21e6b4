// SPDX-License-Identifier: Apache-2.0
// Goal: names become files, and wrong names become hints. Method: a cache made by hand; no network.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>

#include "store/mock_hub.h"
#include "store/model_name.h"
#include "store/quant.h"
#include "store/store.h"
#include "support/temp_dir.h"

namespace deepwell {
namespace {

namespace fs = std::filesystem;
using testing_support::ScopedEnvironment;
using testing_support::TempDir;

TEST(Quant, IsFoundInFileNames) {
  for (const auto& [path, quant] : {std::pair{"SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"},
                                    {"qwen2_5-coder-1_5b-instruct-q4_k_m.gguf", "Q4_K_M"},
                                    {"model_Q6_K.gguf", "Q6_K"},
                                    {"UD-IQ1_S/DeepSeek-R1-UD-IQ1_S-00001-of-00003.gguf", "UD-IQ1_S"},
                                    {"DeepSeek-V3-Q2_K_XL/x-Q2_K_XL.gguf", "Q2_K_XL"},
                                    {"Q8_0/weights.gguf", "Q8_0"},
                                    {"x-BF16.gguf", "BF16"},
                                    {"x.f16.gguf", "F16"},
                                    {"x-MXFP4_MOE.gguf", "MXFP4_MOE"},
                                    {"model.gguf", ""},
                                    {"AQ4_0.gguf", ""},
                                    {"x-Q4_K_MAX.gguf", ""}})
    EXPECT_EQ(quant_in_path(path), quant) << path;
}

TEST(Checkpoint, IsItsWeightsItsConfigurationAndItsVocabulary) {
  const std::vector<std::string> shards = {".gitattributes",
                                           "config.json",
                                           "model-00002-of-000002.safetensors",
                                           "model.safetensors.index.json",
                                           "model-00001-of-000002.safetensors",
                                           "tokenizer.json",
                                           "figures/a.png",
                                           "inference/config.json"};
  const auto whole = find_variants(shards);
  ASSERT_EQ(whole.size(), 1U);
  EXPECT_EQ(whole[0].quant, "SAFETENSORS");
  EXPECT_EQ(whole[0].files, (std::vector<std::size_t>{3, 2, 4, 1, 5}));
  EXPECT_TRUE(whole[0].complete());
  EXPECT_FALSE(find_variants(std::vector(shards.begin(), shards.begin() + 4))[0].complete());

  const std::vector<std::string> single = {"model.safetensors", "config.json", "x-Q8_0.gguf"};
  const auto both = find_variants(single);
  ASSERT_EQ(both.size(), 2U);
  EXPECT_EQ(both[0].quant, "Q8_0");  // a GGUF is preferred
  EXPECT_EQ(both[1].files, (std::vector<std::size_t>{0, 1}));
  EXPECT_TRUE(find_variants(std::vector<std::string>{"model.safetensors"}).empty());  // of what shape?
  EXPECT_TRUE(find_variants(std::vector<std::string>{"config.json", "sub/model.safetensors"}).empty());
}

TEST(Names, AreTakenApart) {
  const auto name = parse_model_name("https://huggingface.co/bartowski/Some-Model.v1-GGUF:Q4_K_M");
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name->text(), "hf.co/bartowski/Some-Model.v1-GGUF:Q4_K_M");
  EXPECT_EQ(name->folder(), "models--bartowski--Some-Model.v1-GGUF");
  EXPECT_EQ(parse_model_name("modelscope.cn/models/o/r")->text(), "modelscope.cn/o/r");
  EXPECT_EQ(parse_model_name("default")->folder(), "models--deepwell--default");
  for (const char* folder : {"models--o--r", "models--modelscope.cn--o--r", "models--deepwell--default"})
    EXPECT_EQ(parse_cache_folder(folder)->folder(), folder);
  for (const char* folder : {"datasets--o--r", "models--gpt2", "models--..--..", ".locks"})
    EXPECT_FALSE(parse_cache_folder(folder).ok()) << folder;
}

TEST(Names, SafePathsStayInside) {
  for (const char* good : {"a", "a/b.gguf", "a..b", "中/文.gguf", ".hidden"})
    EXPECT_TRUE(is_safe_path(good)) << good;
  for (const char* bad : {"", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\\b", "a\nb", "\xff"})
    EXPECT_FALSE(is_safe_path(bad)) << bad;
}

class Store : public testing::Test {
 protected:
  void add(const std::string& folder, const std::string& file, const std::string& hash,
           const std::string& bytes, const std::string& revision = "r1") {
    const fs::path repo = cache_.path() / folder;
    cache_.write(folder + "/blobs/" + hash, bytes);
    cache_.write(folder + "/refs/main", revision);
    const fs::path link = repo / "snapshots" / revision / file;
    fs::create_directories(link.parent_path());
    fs::create_symlink(fs::relative(repo / "blobs" / hash, link.parent_path()), link);
  }
  static std::string error_of(const std::string& name) {
    const auto path = resolve_model(name);
    return path.ok() ? "no error: " + *path : path.error().message;
  }
  TempDir cache_;
  ScopedEnvironment variable_{"HF_HUB_CACHE", cache_.path().c_str()};
};

TEST_F(Store, ResolvesFilesAndDirectories) {
  const TempDir folder;
  const std::string one = folder.write("one/m.gguf", "GGUF");
  EXPECT_EQ(resolve_model(one).value(), one);
  EXPECT_EQ(resolve_model(folder / "one").value(), one);
  folder.write("two/a-Q4_0.gguf", "x");
  folder.write("two/b-Q4_0.gguf", "x");
  EXPECT_NE(error_of(folder / "two").find("give one of its files: a-Q4_0.gguf, b-Q4_0.gguf"),
            std::string::npos);
  folder.write("split/m-00001-of-00002.gguf", "x");
  folder.write("split/m-00002-of-00002.gguf", "x");
  EXPECT_EQ(resolve_model(folder / "split").value(), folder / "split/m-00001-of-00002.gguf");
  folder.write("vocabulary/tokenizer.json", "{}");
  EXPECT_EQ(resolve_model(folder / "vocabulary").value(), folder / "vocabulary");
  folder.write("empty/readme", "");
  EXPECT_NE(error_of(folder / "empty").find("there is no model in this directory"), std::string::npos);
  EXPECT_EQ(error_of(folder / "no.gguf"), folder / "no.gguf" + ": no such file; check the path");
  EXPECT_NE(error_of("").find("no model given"), std::string::npos);
}

TEST_F(Store, ResolvesShortNamesAsLongAsOneFits) {
  add("models--unsloth--R1-GGUF", "R1-Q4_K_M.gguf", "a", "four");
  add("models--unsloth--R1-GGUF", "R1-Q8_0.gguf", "b", "eight");
  add("models--other--Tiny-GGUF", "tiny.Q4_0.gguf", "c", "t");
  add("models--deepwell--default", "Smol.Q4_1.gguf", "d", "s");
  const std::string four = cache_ / "models--unsloth--R1-GGUF/snapshots/r1/R1-Q4_K_M.gguf";
  for (const char* name : {"hf.co/unsloth/R1-GGUF:Q4_K_M", "huggingface.co/unsloth/R1-GGUF:q4_k_m",
                           "unsloth/R1-GGUF:Q4_K_M", "R1-GGUF:q4_k_m", "r1-q4_k_m.gguf"})
    EXPECT_EQ(resolve_model(name).value(), four) << name;
  EXPECT_EQ(resolve_model("tiny-gguf").value(),
            cache_ / "models--other--Tiny-GGUF/snapshots/r1/tiny.Q4_0.gguf");
  EXPECT_EQ(resolve_model("default").value(),
            cache_ / "models--deepwell--default/snapshots/r1/Smol.Q4_1.gguf");
  EXPECT_EQ(error_of("unsloth/R1-GGUF"),
            "unsloth/R1-GGUF may be any of: hf.co/unsloth/R1-GGUF:Q4_K_M, hf.co/unsloth/R1-GGUF:Q8_0; write "
            "one of these");
  EXPECT_EQ(list_models()->size(), 4U);
}

TEST_F(Store, HintsAtNearNamesAndThePullCommand) {
  EXPECT_EQ(error_of("default"), "default is not in the store; fetch it with `deepwell pull default`");
  EXPECT_EQ(error_of("o/r:Q8_0"),
            "o/r:Q8_0 is not in the store; fetch it with `deepwell pull hf.co/o/r:Q8_0`");
  EXPECT_EQ(error_of("defualt"),
            "defualt: no such file, and no such model in the store; did you mean default?; `deepwell list` "
            "shows what "
            "there is, `deepwell pull default` fetches a small model");
  add("models--unsloth--R1-Distill-GGUF", "R1-Q4_K_M.gguf", "a", "x");
  EXPECT_NE(error_of("distill").find("did you mean hf.co/unsloth/R1-Distill-GGUF:Q4_K_M?"),
            std::string::npos);
  EXPECT_NE(error_of("unslot/R1-Distill-GGUF").find("did you mean hf.co/unsloth/R1-Distill-GGUF:Q4_K_M?"),
            std::string::npos);
}

TEST_F(Store, BrokenLinksAndHalfFilesAreNoModels) {
  add("models--o--r", "m.Q4_0.gguf", "a", "x");
  fs::remove(cache_ / "models--o--r/blobs/a");
  cache_.write("models--o--r/blobs/a.incomplete", "half");
  EXPECT_TRUE(list_models()->empty());
  EXPECT_NE(error_of("o/r").find("fetch it with `deepwell pull hf.co/o/r`"), std::string::npos)
      << error_of("o/r");
}

TEST_F(Store, RemovesAModelAndOnlyWhatNothingElseNeeds) {
  add("models--o--r", "a/m.Q4_0.gguf", "a", "four!");
  add("models--o--r", "m.Q8_0.gguf", "b", "eight");
  add("models--o--r", "copy.Q4_1.gguf", "b", "eight");
  cache_.write("models--o--r/blobs/c.incomplete", "123");
  cache_.write(".locks/models--o--r/c.lock", "");
  EXPECT_NE(remove_model("r").error().message.find("may be any of"), std::string::npos);
  EXPECT_EQ(remove_model("r:Q8_0")->bytes_freed, 3);  // the broken download; "b" is linked elsewhere
  EXPECT_TRUE(fs::exists(cache_ / "models--o--r/blobs/b"));
  EXPECT_EQ(remove_model("r:Q4_0")->bytes_freed, 5);
  EXPECT_FALSE(fs::exists(cache_ / "models--o--r/snapshots/r1/a"));
  EXPECT_EQ(remove_model("r")->bytes_freed, 5);
  EXPECT_FALSE(fs::exists(cache_ / "models--o--r"));
  EXPECT_NE(remove_model("r").error().message.find("is not in the store"), std::string::npos);
  EXPECT_NE(remove_model("/etc/passwd").error().message.find("is not in the store"), std::string::npos);
}

TEST_F(Store, KeepsPartialFilesSomebodyIsWorkingOn) {
  add("models--o--r", "m.Q4_0.gguf", "a", "x");
  cache_.write("models--o--r/blobs/c.incomplete", "123");
  const std::string lock = cache_.write(".locks/models--o--r/c.lock", "");
  const int fd = ::open(lock.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::flock(fd, LOCK_EX), 0);
  EXPECT_EQ(remove_model("o/r")->bytes_freed, 1);
  EXPECT_TRUE(fs::exists(cache_ / "models--o--r/blobs/c.incomplete"));
  ::close(fd);
}

TEST_F(Store, OfSeveralRevisionsTheCurrentOneIsListed) {
  add("models--o--r", "m.Q4_0.gguf", "new", "new", "r1");
  add("models--o--r", "m.Q4_0.gguf", "old", "old", "r0");
  cache_.write("models--o--r/refs/main", "r1");
  ASSERT_EQ(list_models()->size(), 1U);
  EXPECT_NE(resolve_model("o/r")->find("/r1/"), std::string::npos);
  EXPECT_EQ(remove_model("o/r")->bytes_freed, 6);  // both revisions go
}

TEST(StorePlace, FollowsTheHuggingFaceVariables) {
  const TempDir home;
  const ScopedEnvironment none1("HF_HUB_CACHE", nullptr), none2("HUGGINGFACE_HUB_CACHE", nullptr);
  home.write(".cache/huggingface/hub/models--o--r/snapshots/x/m.Q4_0.gguf", "x");
  home.write("xdg/huggingface/hub/models--o--r/snapshots/x/m.Q8_0.gguf", "x");
  home.write("hf/hub/models--o--r/snapshots/x/m.Q6_K.gguf", "x");
  const ScopedEnvironment in_home("HOME", home.path().c_str()), no_hf("HF_HOME", nullptr),
      no_xdg("XDG_CACHE_HOME", nullptr);
  EXPECT_EQ(list_models().value().at(0).quant, "Q4_0");
  const ScopedEnvironment xdg("XDG_CACHE_HOME", (home / "xdg").c_str());
  EXPECT_EQ(list_models().value().at(0).quant, "Q8_0");
  const ScopedEnvironment hf("HF_HOME", (home / "hf").c_str());
  EXPECT_EQ(list_models().value().at(0).quant, "Q6_K");
}

}  // namespace
}  // namespace deepwell
