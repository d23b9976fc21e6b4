// SPDX-License-Identifier: Apache-2.0
// Goal: a split set opens as one model from any of its parts; a set that is not whole says what is wrong.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "engine/formats/model_file.h"
#include "support/gguf_builder.h"
#include "support/temp_dir.h"

namespace deepwell {
namespace {

using testing_support::GgufBuilder;
using testing_support::TempDir;

class GgufSplit : public testing::Test {
 protected:
  static GgufBuilder model(int tensors = 5) {
    GgufBuilder builder;
    builder.set("general.architecture", "qwen2");
    for (int i = 0; i < tensors; ++i)
      builder.tensor("t" + std::to_string(i), {8}, std::vector<float>(8, static_cast<float>(i)));
    return builder;
  }
  static std::string error_of(const std::string& path) {
    const auto file = open_gguf(path);
    return file.ok() ? "no error" : file.error().message;
  }
  static bool says(const std::string& message, std::string_view part) {
    return message.find(part) != std::string::npos;
  }

  TempDir temp_;
};

TEST_F(GgufSplit, OpensFromAnyPart) {
  const auto paths = model().write_split(temp_ / "m", 3);
  for (const std::string& path : paths) {
    SCOPED_TRACE(path);
    const auto file = open_gguf(path);
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ((*file)->path(), paths[0]);
    EXPECT_EQ((*file)->architecture(), "qwen2");
    ASSERT_EQ((*file)->tensors().size(), 5U);
    for (int i = 0; i < 5; ++i) {
      const FileTensor* tensor = (*file)->find("t" + std::to_string(i));
      ASSERT_NE(tensor, nullptr);
      float value = -1;
      std::memcpy(&value, tensor->bytes.data(), sizeof value);
      EXPECT_EQ(value, static_cast<float>(i));
      (*file)->release(tensor->bytes);
    }
    std::int64_t bytes = 0;
    for (const std::string& part : paths)
      bytes += static_cast<std::int64_t>(std::filesystem::file_size(part));
    EXPECT_EQ((*file)->file_bytes(), bytes);
  }
}

TEST_F(GgufSplit, FirstPartMayHoldMetadataOnly) {
  GgufBuilder first, second;
  first.set("general.architecture", "llama")
      .set("split.no", 0)
      .set("split.count", 2)
      .set("split.tensors.count", 1);
  second.set("split.no", 1).set("split.count", 2).set("split.tensors.count", 1);
  second.tensor("t", {8}, std::vector<float>(8));
  first.write(temp_ / "m-00001-of-00002.gguf");
  second.write(temp_ / "m-00002-of-00002.gguf");
  EXPECT_EQ(error_of(temp_ / "m-00002-of-00002.gguf"), "no error");
}

TEST_F(GgufSplit, NamesTheMissingPart) {
  const auto paths = model().write_split(temp_ / "m", 3);
  std::filesystem::remove(paths[1]);
  for (const std::string& path : {paths[0], paths[2]})
    EXPECT_EQ(error_of(path),
              paths[1] + ": part 2 of 3 of the model is missing; fetch it into the same folder");
  std::filesystem::remove(paths[0]);
  EXPECT_EQ(error_of(paths[2]),
            paths[0] + ": part 1 of 3 of the model is missing; fetch it into the same folder");
}

TEST_F(GgufSplit, RefusesAPartWhoseNameTellsNothing) {
  const auto paths = model().write_split(temp_ / "m", 3);
  std::filesystem::rename(paths[1], temp_ / "other.gguf");
  EXPECT_TRUE(says(error_of(temp_ / "other.gguf"), "does not end in -00002-of-00003.gguf"))
      << error_of(temp_ / "other.gguf");
}

TEST_F(GgufSplit, RefusesPartsThatWereMixedUp) {
  const auto paths = model().write_split(temp_ / "m", 3);
  std::filesystem::rename(paths[1], temp_ / "x");
  std::filesystem::rename(paths[2], paths[1]);
  std::filesystem::rename(temp_ / "x", paths[2]);
  EXPECT_TRUE(says(error_of(paths[0]), "by its name part 2 of 3, by its content part 3 of 3"))
      << error_of(paths[0]);
  EXPECT_TRUE(says(error_of(paths[2]), "by its name part 3 of 3, by its content part 2 of 3"))
      << error_of(paths[2]);
}

TEST_F(GgufSplit, RefusesAWholeModelInAPartsPlace) {
  const auto paths = model().write_split(temp_ / "m", 3);
  model().write(paths[2]);
  EXPECT_TRUE(says(error_of(paths[0]), "has no split.no and split.count")) << error_of(paths[0]);
}

TEST_F(GgufSplit, RefusesPartsOfAnotherModel) {
  const auto paths = model().write_split(temp_ / "m", 3);
  const auto others = model(7).write_split(temp_ / "other", 3);
  std::filesystem::copy_file(others[2], paths[2], std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE(says(error_of(paths[0]), "split.tensors.count of part 3 says 7 tensors but the 3 parts hold 5"))
      << error_of(paths[0]);
  std::filesystem::copy_file(others[1], paths[1], std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE(says(error_of(paths[0]), "split.tensors.count of part 1 says 5 tensors but the 3 parts hold 6"))
      << error_of(paths[0]);
}

TEST_F(GgufSplit, RefusesATensorInTwoParts) {
  GgufBuilder first, second;
  for (GgufBuilder* part : {&first, &second}) {
    part->set("split.no", part == &first ? 0 : 1).set("split.count", 2).set("split.tensors.count", 2);
    part->tensor("same", {8}, std::vector<float>(8));
  }
  first.write(temp_ / "m-00001-of-00002.gguf");
  second.write(temp_ / "m-00002-of-00002.gguf");
  EXPECT_TRUE(says(error_of(temp_ / "m-00001-of-00002.gguf"), "tensor 'same' is in two parts"));
}

TEST_F(GgufSplit, RefusesImpossibleNumbers) {
  for (const auto& [number, count] : {std::pair{2, 2}, {-1, 2}, {0, -3}, {5, 1}, {0, 100000}}) {
    GgufBuilder builder;
    builder.set("split.no", number).set("split.count", count);
    builder.write(temp_ / "m-00001-of-00002.gguf");
    EXPECT_TRUE(says(error_of(temp_ / "m-00001-of-00002.gguf"), "is impossible"))
        << number << " of " << count;
  }
}

TEST_F(GgufSplit, AWholeModelMayCarrySplitKeysAndAnyName) {
  GgufBuilder builder = model();
  builder.set("split.no", 0).set("split.count", 1).set("split.tensors.count", 5);
  builder.write(temp_ / "m-00001-of-00001.gguf");
  EXPECT_EQ(error_of(temp_ / "m-00001-of-00001.gguf"), "no error");
  model().write(temp_ / "renamed-00002-of-00009.gguf");
  EXPECT_EQ(error_of(temp_ / "renamed-00002-of-00009.gguf"), "no error");
}

}  // namespace
}  // namespace deepwell
