// SPDX-License-Identifier: Apache-2.0
// Goal: every way a GGUF can be wrong gives one line with path, what, where and what to do.
// Method: files made by hand, wrong in one thing each.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <limits>

#include "engine/formats/model_file.h"
#include "support/byte_writer.h"
#include "support/gguf_builder.h"
#include "support/temp_dir.h"

namespace deepwell {
namespace {

using testing_support::ByteWriter;
using testing_support::GgufBuilder;
using testing_support::TempDir;

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

// A tensor table entry, any field of which may be a lie.
struct Entry {
  std::string name = "t";
  std::vector<std::int64_t> shape{32};
  std::uint32_t type = 0;
  std::uint64_t offset = 0;
};

std::string with_entries(const std::vector<Entry>& entries, std::size_t data_bytes = 256) {
  ByteWriter out;
  out.raw("GGUF").put(3U).put(static_cast<std::uint64_t>(entries.size())).put(std::uint64_t{0});
  for (const Entry& entry : entries) {
    out.text(entry.name).put(static_cast<std::uint32_t>(entry.shape.size()));
    for (const std::int64_t length : entry.shape) out.put(length);
    out.put(entry.type).put(entry.offset);
  }
  return out.pad_to(32).raw(std::string(data_bytes, '\0')).bytes();
}

std::string with_key(std::string_view key, std::uint32_t type, const ByteWriter& value) {
  GgufBuilder builder;
  return builder.set_raw(key, type, value.bytes()).build();
}

std::string header(std::uint32_t version, std::uint64_t tensors, std::uint64_t keys) {
  return ByteWriter().raw("GGUF").put(version).put(tensors).put(keys).raw(std::string(64, '\0')).bytes();
}

struct Wrong {
  const char* name;
  std::string bytes;
  ErrorCode code;
  const char* says;
};

std::vector<Wrong> wrong_files() {
  using enum ErrorCode;
  const auto array = [](std::uint32_t type, std::uint64_t count) {
    return ByteWriter().put(type).put(count);
  };
  GgufBuilder twice;
  twice.set("general.name", "a").set("general.nome", "b");
  std::string two_keys = twice.build();
  two_keys.replace(two_keys.find("general.nome"), 12, "general.name");
  GgufBuilder good;
  good.set("general.architecture", "llama").tensor("t", {64}, std::vector<float>(64));
  const std::string whole = good.build();
  return {
      {"empty", "", kInvalid, "the file is empty: the download did not start; fetch it again"},
      {"magic_only", "GGUF", kCorrupt, "the file ends at byte 4, within the version (4 bytes at byte 4)"},
      {"version_0", header(0, 0, 0), kUnsupported, "GGUF version 0 is unknown"},
      {"version_1", header(1, 0, 0), kUnsupported, "GGUF version 1 is obsolete"},
      {"version_4", header(4, 0, 0), kUnsupported, "GGUF version 4 is unknown"},
      {"big_endian", header(0x03000000, 0, 0), kUnsupported, "a big-endian GGUF"},
      {"header_cut", header(3, 0, 0).substr(0, 20), kCorrupt, "within the metadata count"},
      {"keys_bomb", header(3, 0, kHuge), kCorrupt,
       "says 18446744073709551615 metadata keys, which do not fit"},
      {"tensors_bomb", header(3, kHuge, 0), kCorrupt, "says 18446744073709551615 tensors, which do not fit"},
      {"many_tensors", header(3, 100, 0), kCorrupt, "says 100 tensors, which do not fit into the 64 bytes"},
      {"key_empty", with_key("", 4, ByteWriter().put(1U)), kCorrupt,
       "metadata key 1 of 1 at byte 24 is empty"},
      {"key_not_utf8", with_key("a\xff", 4, ByteWriter().put(1U)), kCorrupt, "is not UTF-8: 'a\\xff'"},
      {"key_too_long", with_key(std::string(65536, 'k'), 4, ByteWriter().put(1U)), kCorrupt,
       "metadata key 1 of 1 at byte 24 says it is 65536 bytes long"},
      {"key_twice", two_keys, kCorrupt, "metadata value 'general.name' is there twice"},
      {"type_unknown", with_key("k", 13, ByteWriter().put(1U)), kCorrupt,
       "'k' has unknown value type 13 at byte 33"},
      {"flag_2", with_key("k", 7, ByteWriter().put(std::uint8_t{2})), kCorrupt, "true-or-false value of 2"},
      {"u64_large", with_key("k", 10, ByteWriter().put(kHuge)), kCorrupt, "beyond the range"},
      {"text_bomb", with_key("k", 8, ByteWriter().put(kHuge)), kCorrupt,
       "says it is 18446744073709551615 bytes long"},
      {"text_cut", with_key("k", 8, ByteWriter().put(std::uint64_t{1000}).raw("abc")), kCorrupt,
       "within metadata value 'k' (1000 bytes"},
      {"array_bomb", with_key("k", 9, array(0, kHuge)), kCorrupt,
       "has 18446744073709551615 elements, but only"},
      {"texts_bomb", with_key("k", 9, array(8, 1U << 24).raw(std::string(4096, '\0'))), kCorrupt,
       "has 16777216 elements, but only"},
      {"array_limit", with_key("k", 9, array(0, (1U << 24) + 1).raw(std::string((1U << 24) + 1, '\0'))),
       kUnsupported, "brings the array elements of the file above 16777216"},
      {"array_nested", with_key("k", 9, array(9, 1).put(0U).put(std::uint64_t{0})), kUnsupported,
       "array of arrays"},
      {"array_unknown", with_key("k", 9, array(77, 0)), kCorrupt, "'k' is an array of unknown value type 77"},
      {"array_flag", with_key("k", 9, array(7, 2).put(std::uint8_t{1}).put(std::uint8_t{9})), kCorrupt,
       "true-or-false value of 9"},
      {"array_u64", with_key("k", 9, array(10, 1).put(kHuge)), kCorrupt, "beyond the range"},
      {"array_text_cut", with_key("k", 9, array(8, 2).text("a").put(kHuge)), kCorrupt, "bytes long"},
      {"alignment_0", with_key("general.alignment", 4, ByteWriter().put(0U)), kCorrupt,
       "alignment is 0, not a power"},
      {"alignment_48", with_key("general.alignment", 4, ByteWriter().put(48U)), kCorrupt, "alignment is 48"},
      {"alignment_big", with_key("general.alignment", 4, ByteWriter().put(1U << 30)), kCorrupt,
       "is 1073741824, not"},
      {"alignment_text", with_key("general.alignment", 8, ByteWriter().text("32")), kCorrupt,
       "is not an integer"},
      {"name_empty", with_entries({{.name = ""}}), kCorrupt, "the name of tensor 1 of 1 at byte 24 is empty"},
      {"name_64", with_entries({{.name = std::string(64, 'n')}}), kCorrupt,
       "says it is 64 bytes long (at most 63"},
      {"name_not_utf8", with_entries({{.name = "bl\xc3k"}}), kCorrupt, "is not UTF-8: 'bl\\xc3k'"},
      {"name_twice", with_entries({{}, {.offset = 128}}), kCorrupt, "tensor 't' is there twice"},
      {"dims_0", with_entries({{.shape = {}}}), kCorrupt, "tensor 't' has 0 dimensions"},
      {"dims_5", with_entries({{.shape = {1, 1, 1, 1, 1}}}), kCorrupt, "tensor 't' has 5 dimensions"},
      {"length_0", with_entries({{.shape = {32, 0}}}), kCorrupt, "tensor 't' has dimension 2 of 0"},
      {"length_negative", with_entries({{.shape = {-32}}}), kCorrupt, "tensor 't' has dimension 1 of -32"},
      {"product", with_entries({{.shape = {1LL << 40, 1LL << 40}}}), kCorrupt, "is larger than any file"},
      {"product_wraps", with_entries({{.shape = {1LL << 32, 1LL << 32, 1, 1}}}), kCorrupt,
       "tensor 't' of 4294967296 x 4294967296 x 1 x 1 elements is larger"},
      {"type_removed", with_entries({{.type = 4}}), kUnsupported, "tensor 't' has unknown type 4"},
      {"type_999", with_entries({{.type = 999}}), kUnsupported, "tensor 't' has unknown type 999"},
      {"partial_block", with_entries({{.shape = {100}, .type = 12}}), kCorrupt,
       "rows of 100 elements, which are not whole blocks of 256 (Q4_K)"},
      {"offset_odd", with_entries({{.offset = 4}}), kCorrupt,
       "offset 4, which is not a multiple of the alignment 32"},
      {"offset_end", with_entries({{.offset = 1 << 20}}), kCorrupt, "but the file has"},
      {"offset_wraps", with_entries({{.offset = kHuge - 31}}), kCorrupt, "beyond any file"},
      {"overlap", with_entries({{.name = "a"}, {.name = "b", .offset = 96}}), kCorrupt,
       "tensors 'a' and 'b' overlap at byte 192"},
      {"same_bytes", with_entries({{.name = "a"}, {.name = "b"}}), kCorrupt, "overlap"},
      {"data_cut", whole.substr(0, whole.size() - 1), kCorrupt,
       "tensor 't' ends at byte 384 but the file has 383: the download is incomplete; fetch it again"},
      {"table_cut", whole.substr(0, 80), kCorrupt, "the download is incomplete"},
      {"html", "<!DOCTYPE html><html><body>Sign in", kInvalid, "not a GGUF file: it looks like an HTML page"},
      {"html_spaced", "\n\n <HTML>", kInvalid, "looks like an HTML page"},
      {"xml", "<?xml version=\"1.0\"?><Error>", kInvalid, "an XML error message"},
      {"lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:1", kInvalid, "Git LFS pointer"},
      {"zip", std::string("PK\x03\x04") + std::string(60, 'x'), kInvalid, "a zip archive"},
      {"gzip", std::string("\x1f\x8b\x08"), kInvalid, "a gzip archive"},
      {"old_ggml", "tjgg....", kInvalid, "the old GGJT format"},
      {"swapped", "FUGG....", kInvalid, "a big-endian GGUF"},
      {"safetensors", ByteWriter().put(std::uint64_t{2}).raw("{}").bytes(), kInvalid, "a safetensors file"},
      {"json", "{\"error\":\"Repository not found\"}", kInvalid, "JSON text"},
      {"zeros", std::string(4096, '\0'), kInvalid, "starts with zeros"},
      {"noise", "\x01\x02\x1b[31mred", kInvalid, "it starts with '\\x01\\x02\\x1b[31mred'"},
  };
}

class GgufErrors : public testing::TestWithParam<Wrong> {};

TEST_P(GgufErrors, SaysWhatIsWrongOnOneLine) {
  const TempDir temp;
  const std::string path = temp.write("x.gguf", GetParam().bytes);
  const auto file = open_gguf(path);
  ASSERT_FALSE(file.ok());
  const std::string& message = file.error().message;
  EXPECT_EQ(file.error().code, GetParam().code) << message;
  EXPECT_TRUE(message.starts_with(path + ": ")) << message;
  EXPECT_NE(message.find(GetParam().says), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  EXPECT_EQ(message.find('\x1b'), std::string::npos) << message;
}
INSTANTIATE_TEST_SUITE_P(Each, GgufErrors, testing::ValuesIn(wrong_files()),
                         [](const auto& wrong) { return std::string(wrong.param.name); });

TEST(GgufPaths, SayWhatIsAtThePath) {
  const TempDir temp;
  const auto message = [](const std::string& path) {
    const auto file = open_gguf(path);
    return file.ok() ? "no error" : file.error().message;
  };
  EXPECT_EQ(message(temp / "no.gguf"), temp / "no.gguf" + ": no such file; check the path");
  EXPECT_EQ(message(temp.path().string()),
            temp.path().string() + ": is a directory; give the path of a file in it");
  EXPECT_EQ(message(""), "'': not a path; give the path of a file");
  EXPECT_NE(message(std::string("a\0b", 3)).find("not a path"), std::string::npos);
  ASSERT_EQ(::mkfifo((temp / "pipe").c_str(), 0600), 0);
  EXPECT_NE(message(temp / "pipe").find("not a regular file"), std::string::npos);
  EXPECT_NE(message("/dev/null").find("not a regular file"), std::string::npos);
}

TEST(GgufPaths, SayThatPermissionIsMissing) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read every file, so the message cannot come up";
  const TempDir temp;
  const std::string locked = temp.write("locked.gguf", "GGUF");
  ASSERT_EQ(::chmod(locked.c_str(), 0), 0);
  const auto file = open_gguf(locked);
  ASSERT_FALSE(file.ok());
  EXPECT_NE(file.error().message.find("no permission to read it"), std::string::npos) << file.error().message;
}

}  // namespace
}  // namespace deepwell
