// SPDX-License-Identifier: Apache-2.0
// Goal: what a well-formed GGUF holds is what open_gguf gives. Method: files made by gguf_builder.h.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "base/bytes.h"
#include "engine/formats/model_file.h"
#include "support/gguf_builder.h"
#include "support/temp_dir.h"

namespace deepwell {
namespace {

using testing_support::GgufBuilder;
using testing_support::TempDir;

std::unique_ptr<ModelFile> open(const std::string& path) {
  auto file = open_gguf(path);
  if (!file.ok()) ADD_FAILURE() << file.error().message;
  return file.ok() ? std::move(file).value() : nullptr;
}

GgufBuilder two_tensors() {
  GgufBuilder builder;
  builder.set("general.architecture", "llama");
  builder.tensor("a.weight", {4, 2, 3}, std::vector<float>(24, 1.5F));
  builder.tensor("b.weight", {32, 2}, TypeId::kQ8_0, std::string(68, '\x7f'));
  return builder;
}

TEST(Gguf, ReadsTensorsOfBothVersionsAtAnyAlignment) {
  const TempDir temp;
  for (const std::uint32_t version : {2U, 3U}) {
    for (const std::uint32_t alignment : {1U, 8U, 32U, 4096U}) {
      SCOPED_TRACE(testing::Message() << "version " << version << ", alignment " << alignment);
      GgufBuilder builder = two_tensors();
      builder.version = version;
      builder.alignment = alignment;
      builder.write(temp / "m.gguf");
      const auto file = open(temp / "m.gguf");
      ASSERT_NE(file, nullptr);
      EXPECT_EQ(file->path(), temp / "m.gguf");
      EXPECT_EQ(file->architecture(), "llama");
      EXPECT_EQ(file->file_bytes(), static_cast<std::int64_t>(builder.build().size()));
      ASSERT_EQ(file->tensors().size(), 2U);
      const FileTensor* a = file->find("a.weight");
      ASSERT_NE(a, nullptr);
      EXPECT_EQ(a, &file->tensors()[0]);
      EXPECT_EQ(a->dims, 3);
      EXPECT_EQ(a->shape, (std::array<std::int64_t, 4>{4, 2, 3, 1}));
      EXPECT_EQ(a->rows(), 6);
      ASSERT_EQ(a->bytes.size(), 96U);
      float value = 0;
      std::memcpy(&value, a->bytes.data() + 92, sizeof value);
      EXPECT_EQ(value, 1.5F);
      const FileTensor* b = file->find("b.weight");
      ASSERT_NE(b, nullptr);
      EXPECT_EQ(b->type, TypeId::kQ8_0);
      EXPECT_EQ(as_text(b->bytes), std::string(68, '\x7f'));
      EXPECT_EQ(file->find("c.weight"), nullptr);
    }
  }
}

TEST(Gguf, ReadsEveryMetadataType) {
  const TempDir temp;
  GgufBuilder builder;
  builder.set("u8", std::uint8_t{255}).set("i8", std::int8_t{-128});
  builder.set("u16", std::uint16_t{65535}).set("i16", std::int16_t{-32768});
  builder.set("u32", std::uint32_t{4294967295U}).set("i32", std::numeric_limits<std::int32_t>::min());
  builder.set("u64", std::uint64_t{1} << 62).set("i64", std::numeric_limits<std::int64_t>::min());
  builder.set("f32", 0.5F).set("f64", -1e300).set("yes", true).set("no", false);
  builder.set("text", std::string("h\xc3\xa9\0x", 5)).set("empty", "");
  builder.set("texts", std::vector<std::string>{"", "a", std::string(1000, 'b')});
  builder.set("au8", std::vector<std::uint8_t>{0, 255}).set("ai8", std::vector<std::int8_t>{-1});
  builder.set("au16", std::vector<std::uint16_t>{65535}).set("ai16", std::vector<std::int16_t>{-2});
  builder.set("au32", std::vector<std::uint32_t>{7, 8}).set("ai32", std::vector<std::int32_t>{-3, 3});
  builder.set("au64", std::vector<std::uint64_t>{9}).set("ai64", std::vector<std::int64_t>{-4});
  builder.set("af32", std::vector<float>{0.25F}).set("af64", std::vector<double>{0.1, 0.2});
  builder.set("abool", std::vector<bool>{true, false}).set("none", std::vector<std::int32_t>{});
  builder.write(temp / "m.gguf");
  const auto file = open(temp / "m.gguf");
  ASSERT_NE(file, nullptr);
  const Metadata& m = file->metadata();
  EXPECT_EQ(m.values.size(), 27U);
  EXPECT_EQ(m.integer("u8"), 255);
  EXPECT_EQ(m.integer("i8"), -128);
  EXPECT_EQ(m.integer("u16"), 65535);
  EXPECT_EQ(m.integer("i16"), -32768);
  EXPECT_EQ(m.integer("u32"), 4294967295);
  EXPECT_EQ(m.integer("i32"), std::numeric_limits<std::int32_t>::min());
  EXPECT_EQ(m.integer("u64"), std::int64_t{1} << 62);
  EXPECT_EQ(m.integer("i64"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(m.number("f32"), 0.5);
  EXPECT_EQ(m.number("f64"), -1e300);
  EXPECT_EQ(m.flag("yes"), true);
  EXPECT_EQ(m.flag("no"), false);
  EXPECT_EQ(m.text("text"), std::string("h\xc3\xa9\0x", 5));
  EXPECT_EQ(m.text("empty"), "");
  ASSERT_NE(m.texts("texts"), nullptr);
  EXPECT_EQ(*m.texts("texts"), (std::vector<std::string>{"", "a", std::string(1000, 'b')}));
  EXPECT_EQ(m.integers("au8"), (std::vector<std::int64_t>{0, 255}));
  EXPECT_EQ(m.integers("ai8"), (std::vector<std::int64_t>{-1}));
  EXPECT_EQ(m.integers("au16"), (std::vector<std::int64_t>{65535}));
  EXPECT_EQ(m.integers("ai16"), (std::vector<std::int64_t>{-2}));
  EXPECT_EQ(m.integers("au32"), (std::vector<std::int64_t>{7, 8}));
  EXPECT_EQ(m.integers("ai32"), (std::vector<std::int64_t>{-3, 3}));
  EXPECT_EQ(m.integers("au64"), (std::vector<std::int64_t>{9}));
  EXPECT_EQ(m.integers("ai64"), (std::vector<std::int64_t>{-4}));
  EXPECT_EQ(m.numbers("af32"), (std::vector<double>{0.25}));
  EXPECT_EQ(m.numbers("af64"), (std::vector<double>{0.1, 0.2}));
  EXPECT_EQ(m.integers("abool"), (std::vector<std::int64_t>{1, 0}));
  EXPECT_TRUE(m.has("none"));
  EXPECT_TRUE(m.integers("none").empty());
}

TEST(Gguf, GettersTakeWhatThirdPartyWritersUse) {
  Metadata m;
  m.values["integer"] = std::int64_t{3};
  m.values["number"] = 2.5;
  m.values["flag"] = true;
  m.values["text"] = std::string("t");
  EXPECT_EQ(m.number("integer"), 3.0);
  EXPECT_EQ(m.flag("integer"), true);
  EXPECT_EQ(m.integers("integer"), (std::vector<std::int64_t>{3}));
  EXPECT_EQ(m.numbers("integer"), (std::vector<double>{3}));
  EXPECT_EQ(m.numbers("number"), (std::vector<double>{2.5}));
  EXPECT_EQ(m.integer("number"), std::nullopt);
  EXPECT_EQ(m.integer("flag"), std::nullopt);
  EXPECT_EQ(m.integer("text"), std::nullopt);
  EXPECT_EQ(m.text("integer"), std::nullopt);
  EXPECT_EQ(m.texts("text"), nullptr);
  EXPECT_EQ(m.integer("absent"), std::nullopt);
  EXPECT_TRUE(m.numbers("text").empty());
}

TEST(Gguf, OpensAVocabularyWithoutTensorsOrPadding) {
  const TempDir temp;
  GgufBuilder builder;
  builder.set("general.architecture", "llama");
  builder.alignment = 1;
  builder.write(temp / "m.gguf");
  const auto file = open(temp / "m.gguf");
  ASSERT_NE(file, nullptr);
  EXPECT_TRUE(file->tensors().empty());
}

TEST(Gguf, TensorsMayLieInAnyOrder) {
  GgufBuilder builder = two_tensors();
  std::string bytes = builder.build();
  // Swap the offsets in the table (a: 0, b: 96): a then needs the 96 bytes at 96, so the file grows.
  const std::size_t a = bytes.find("a.weight") + 8 + 4 + 3 * 8 + 4;
  const std::size_t b = bytes.find("b.weight") + 8 + 4 + 2 * 8 + 4;
  bytes[a] = 96;
  bytes[b] = 0;
  const TempDir temp;
  const auto file = open(temp.write("m.gguf", bytes));
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->tensors()[0].name, "a.weight");
  EXPECT_GT(file->tensors()[0].bytes.data(), file->tensors()[1].bytes.data());
}

TEST(Gguf, ReleasedBytesCanBeReadAgain) {
  const TempDir temp;
  GgufBuilder builder;
  builder.tensor("a", {1024, 64}, std::vector<float>(65536, 2.0F));
  builder.write(temp / "m.gguf");
  const auto file = open(temp / "m.gguf");
  ASSERT_NE(file, nullptr);
  const auto bytes = file->tensors()[0].bytes;
  file->release(bytes);
  file->release(bytes.subspan(5, 3));
  file->release({});
  float value = 0;
  std::memcpy(&value, bytes.data() + bytes.size() - 4, sizeof value);
  EXPECT_EQ(value, 2.0F);
}

}  // namespace
}  // namespace deepwell
