// SPDX-License-Identifier: Apache-2.0
// Goal: a safetensors file is read exactly, and every way it can be wrong gives one line that says so.
// Method: files made by hand, wrong in one thing each; then every byte of a good one changed in turn.
#include "engine/checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/bytes.h"

namespace deepwell {
namespace {

std::string file_of(const std::string& header, std::size_t data_bytes) {
  std::string bytes(8, '\0');
  const std::uint64_t size = header.size();
  std::memcpy(bytes.data(), &size, 8);
  bytes += header;
  for (std::size_t i = 0; i < data_bytes; ++i) bytes += static_cast<char>(i);
  return bytes;
}

const std::string kGood =
    R"({"__metadata__":{"format":"pt","n":{"a":[1,{"b":2.5}]}},"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},)"
    R"("empty":{"dtype":"I8","shape":[0],"data_offsets":[12,12]},)"
    R"("b":{"data_offsets":[12,16],"shape":[],"dtype":"F32"}}   )";

TEST(Safetensors, GivesEveryTensorWithItsBytes) {
  const std::string file = file_of(kGood, 16);
  const auto parsed = parse_safetensors(as_raw_bytes(file), "x.safetensors");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  ASSERT_EQ(parsed->size(), 3U);
  const SafetensorsEntry &a = (*parsed)[0], &b = (*parsed)[2];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.dtype, Dtype::kF16);
  EXPECT_EQ(a.shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(as_text(a.bytes), file.substr(file.size() - 16, 12));
  EXPECT_EQ((*parsed)[1].elements(), 0);
  EXPECT_EQ(b.elements(), 1);
  EXPECT_EQ(as_text(b.bytes), file.substr(file.size() - 4));
}

struct Wrong {
  const char* name;
  std::string bytes;
  const char* says;
};

std::string tensors(const std::string& header) { return file_of("{" + header + "}", 16); }

class WrongFileTest : public testing::TestWithParam<Wrong> {};

TEST_P(WrongFileTest, IsOneClearLine) {
  const auto parsed = parse_safetensors(as_raw_bytes(GetParam().bytes), "x.safetensors");
  ASSERT_FALSE(parsed.ok());
  const std::string& message = parsed.error().message;
  EXPECT_NE(message.find(GetParam().says), std::string::npos) << message;
  EXPECT_EQ(message.find("x.safetensors: "), 0U) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongFileTest,
    testing::Values(
        Wrong{"empty", "", "no safetensors file"}, Wrong{"html", "<html>\nno such page</html>", "HTML"},
        Wrong{"header_cut", file_of(kGood, 16).substr(0, 60), "within its header"},
        Wrong{"header_huge", std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10), "bytes long"},
        Wrong{"data_cut", file_of(kGood, 15), "download is incomplete"},
        Wrong{"no_json", file_of("{\"a\":", 0), "no JSON"},
        Wrong{"list", file_of("{\"a\":[1]}", 0), "list where none"},
        Wrong{"deep", file_of("{\"a\":{\"dtype\":{\"x\":1}}}", 0), "object where none"},
        Wrong{"negative", tensors(R"("a":{"dtype":"I8","shape":[-1],"data_offsets":[0,1]})"), "negative"},
        Wrong{"fraction", tensors(R"("a":{"dtype":"I8","shape":[1.5],"data_offsets":[0,1]})"), "not whole"},
        Wrong{"one_offset", tensors(R"("a":{"dtype":"I8","shape":[1],"data_offsets":[0]})"), "two numbers"},
        Wrong{"three_offsets", tensors(R"("a":{"dtype":"I8","shape":[1],"data_offsets":[0,1,2]})"),
              "two numbers"},
        Wrong{"no_shape", tensors(R"("a":{"dtype":"I8","data_offsets":[0,1]})"), "not all of"},
        Wrong{"shape_twice", tensors(R"("a":{"dtype":"I8","shape":[1],"shape":[1],"data_offsets":[0,1]})"),
              "twice"},
        Wrong{"unknown_type", tensors(R"("a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]})"), "type 'F4'"},
        Wrong{"size", tensors(R"("a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]})"), "takes 12 bytes"},
        Wrong{"backwards", tensors(R"("a":{"dtype":"I8","shape":[1],"data_offsets":[2,1]})"),
              "range is 2 to 1"},
        Wrong{"overflow",
              tensors(R"("a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]})"),
              "too large"},
        Wrong{"overlap",
              tensors(R"("a":{"dtype":"I8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"I8","shape":[2],)"
                      R"("data_offsets":[3,5]})"),
              "'b' overlaps 'a'"},
        Wrong{"duplicate",
              tensors(R"("a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"I8","shape":[1],)"
                      R"("data_offsets":[1,2]})"),
              "'a' is there twice"},
        Wrong{"dimensions", tensors(R"("a":{"dtype":"I8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]})"),
              "dimensions"},
        Wrong{"null", tensors(R"("a":null)"), "null"}),
    [](const auto& test) { return test.param.name; });

TEST(Safetensors, AnyChangedByteIsAnErrorOrAFileInBounds) {
  const std::string good = file_of(kGood, 16);
  int refused = 0;
  for (std::size_t at = 0; at < good.size() - 16; ++at) {
    for (const char value : {'\0', '0', '9', '"', '{', ']', '\xff'}) {
      std::string file = good;
      file[at] = value;
      const auto parsed = parse_safetensors(as_raw_bytes(file), "x");
      refused += parsed.ok() ? 0 : 1;
      if (!parsed.ok()) continue;
      for (const SafetensorsEntry& entry : *parsed) {
        EXPECT_GE(entry.bytes.data(), as_raw_bytes(file).data());
        EXPECT_LE(entry.bytes.data() + entry.bytes.size(), as_raw_bytes(file).data() + file.size());
      }
    }
  }
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace deepwell
