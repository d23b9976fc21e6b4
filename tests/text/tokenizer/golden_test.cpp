// SPDX-License-Identifier: Apache-2.0
// Goal: token for token what Hugging Face tokenizers makes of the same text.
// Method: scripts/golden_tokenizer.py captured its ids, as a hash a line; a difference prints line and
// tokens.
#include <cstdlib>
#include <filesystem>

#include "text/tokenizer/pretokenizer.h"
#include "text/tokenizer/support.h"

namespace deepwell::testing_tokenizer {
namespace {

std::string fnv1a(const std::vector<Token>& tokens) {
  std::uint64_t value = 0xCBF29CE484222325;
  for (const Token token : tokens)
    for (int shift = 0; shift < 32; shift += 8)
      value = (value ^ (static_cast<std::uint32_t>(token) >> shift & 0xFF)) * 0x100000001B3;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

void expect_golden(const Tokenizer& tokenizer, const nlohmann::json& lines, const nlohmann::json& expected) {
  ASSERT_EQ(lines.size(), expected["hashes"].size());
  int wrong = 0;
  for (std::size_t i = 0; i < lines.size() && wrong < 5; ++i) {
    const auto line = lines[i].get<std::string>();
    const auto tokens = tokenizer.encode(line, {.parse_special = true});
    if (fnv1a(tokens) == expected["hashes"][i]) continue;
    ++wrong;
    ADD_FAILURE() << "line " << i << " " << nlohmann::json(line).dump() << "\n got "
                  << nlohmann::json(tokens).dump() << "\nwant "
                  << (i < expected["first"].size() ? expected["first"][i].dump() : "(a hash only)");
  }
}

class GoldenTest : public testing::TestWithParam<std::string> {
 protected:
  nlohmann::json lines = nlohmann::json::parse(read_file(golden_folder() + "/lines.json"));
  nlohmann::json expected =
      nlohmann::json::parse(read_file(golden_folder() + "/" + GetParam() + ".expected.json"));
};

TEST_P(GoldenTest, ReadsTokenizerJsonAsHuggingFaceDoes) {
  expect_golden(*golden_tokenizer(GetParam()), lines, expected);
}

TEST_P(GoldenTest, ReadsANamedPreTokenizerAsItsPatterns) {
  Vocabulary v = golden_vocabulary(GetParam());
  if (GetParam() == "other-regex") {
    EXPECT_EQ(v.pre, "");
    return;
  }
  EXPECT_EQ(v.pre, GetParam());
  v.patterns.clear();
  expect_golden(*make(std::move(v)), lines, expected);
}

// Qwen's own files compose characters first; the distills' do not.
TEST(GoldenNormalizerTest, ComposesAsHuggingFaceDoes) {
  auto json = nlohmann::json::parse(read_file(golden_folder() + "/qwen2.tokenizer.json"));
  json["normalizer"] = {{"type", "NFC"}};
  const auto tokenizer = Tokenizer::from_json(json.dump());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  const auto lines = nlohmann::json::parse(read_file(golden_folder() + "/lines.json"));
  expect_golden(**tokenizer, lines,
                nlohmann::json::parse(read_file(golden_folder() + "/qwen2-nfc.expected.json")));
}

TEST_P(GoldenTest, KeepsEveryByteOfEveryLine) {
  const auto tokenizer = golden_tokenizer(GetParam());
  for (const auto& line : lines) {
    const auto text = line.get<std::string>();
    ASSERT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
    ASSERT_EQ(tokenizer->decode(tokenizer->encode(text, {.parse_special = true}), /*show_control=*/true),
              text);
  }
}

INSTANTIATE_TEST_SUITE_P(EveryPreTokenizer, GoldenTest, testing::ValuesIn(golden_names()),
                         [](const auto& named) {
                           std::string name = named.param;
                           for (char& c : name)
                             if (c == '-') c = '_';
                           return name;
                         });

TEST(GoldenCoverageTest, EveryPreTokenizerHasAGoldenFile) {
  for (const auto& pre : pretokenizer::all_pretokenizers()) {
    const std::string file = golden_folder() + "/" + std::string(pre.names[0].name) + ".tokenizer.json";
    EXPECT_TRUE(std::filesystem::exists(file)) << file << ": add the name to scripts/golden_tokenizer.py";
  }
}

// The vocabularies people use are too large for the tree: golden_tokenizer.py big DIR FILE... captures them.
class BigVocabularyTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("DEEPWELL_TOKENIZERS");
    if (!folder)
      GTEST_SKIP()
          << "DEEPWELL_TOKENIZERS is not set: make a folder with scripts/golden_tokenizer.py big DIR FILE...";
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string path = entry.path().string(), ending = ".tokenizer.json";
      if (path.ends_with(ending)) stems.push_back(path.substr(0, path.size() - ending.size()));
    }
    ASSERT_FALSE(stems.empty()) << folder << " holds no *.tokenizer.json";
    lines = nlohmann::json::parse(read_file(std::string(folder) + "/lines.json"));
  }
  std::unique_ptr<Tokenizer> load(const std::string& stem) {
    auto tokenizer = Tokenizer::from_json(read_file(stem + ".tokenizer.json"));
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    return std::move(tokenizer).value();
  }
  std::vector<std::string> stems;
  nlohmann::json lines;
};

TEST_F(BigVocabularyTest, AgreesOnEveryLine) {
  for (const std::string& stem : stems) {
    SCOPED_TRACE(stem);
    expect_golden(*load(stem), lines, nlohmann::json::parse(read_file(stem + ".expected.json")));
  }
}

TEST_F(BigVocabularyTest, MakesTheKnownTokensOfDeepSeekV3) {
  const struct {
    const char* text;
    std::vector<Token> tokens;
  } vectors[] = {
      {"Hello world", {19923, 2058}},
      {"Hello, world! 12345 67", {19923, 14, 2058, 3, 223, 6895, 1883, 223, 3186}},
      {"  two  spaces\n\n\ttab", {223, 1234, 223, 13564, 271, 200, 14278}},
      {"don't stop—naïve café", {20385, 1664, 6409, 965, 2720, 91223, 57664}},
      {"你好,世界!こんにちは", {30594, 14, 3427, 3, 4549, 7245, 2298, 12457, 2841}},
      {"def f(x):\n    return x**2\n", {3465, 285, 4042, 3395, 361, 1354, 1527, 666, 20, 201}},
      {"🤖🦙 emoji", {62377, 247, 3574, 102, 250, 980, 82644}},
      {"3.14159e-10", {21, 16, 9926, 3318, 71, 15, 553}},
      {"a\r\nb", {67, 204, 201, 68}},
      {" \n \n x", {54921, 1527}},
  };
  int seen = 0;
  for (const std::string& stem : stems) {
    const auto tokenizer = load(stem);
    if (tokenizer->size() < 128815 || tokenizer->vocabulary().pre != "deepseek-v3") continue;
    ++seen;
    for (const auto& [text, tokens] : vectors)
      EXPECT_EQ(tokenizer->encode(text), tokens) << stem << ": " << text;
    EXPECT_EQ(tokenizer->find("<｜begin▁of▁sentence｜>"), 0);
    EXPECT_EQ(tokenizer->find("<｜Assistant｜>"), 128804);
    if (tokenizer->find("<think>") == 128821) {  // V4
      const std::string chat = "<｜User｜>你好<｜Assistant｜><think>推理</think>答案<｜end▁of▁sentence｜>";
      const std::vector<Token> want = {128803, 30594, 128804, 128821, 36101, 128822, 7624, 1};
      EXPECT_EQ(tokenizer->encode(chat, {.parse_special = true}), want);
      EXPECT_NE(tokenizer->encode(chat), want);
      EXPECT_EQ(tokenizer->decode(tokenizer->encode(chat)), chat);
    }
    EXPECT_TRUE(tokenizer->ends_generation(1));
    EXPECT_TRUE(tokenizer->ends_generation(*tokenizer->find("<|EOT|>")));
    EXPECT_FALSE(tokenizer->ends_generation(0));
  }
  if (seen == 0) GTEST_SKIP() << "no vocabulary of DeepSeek-V3 or V4 in DEEPWELL_TOKENIZERS";
}

}  // namespace
}  // namespace deepwell::testing_tokenizer
