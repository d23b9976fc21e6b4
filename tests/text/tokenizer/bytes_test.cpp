// SPDX-License-Identifier: Apache-2.0
// Goal: encode takes any bytes, of any length, from any thread, and decode gives them back.
#include <thread>

#include "support/cpu_time.h"
#include "text/tokenizer/support.h"

namespace deepwell::testing_tokenizer {
namespace {

/// The pre-tokenizers whose small vocabulary has all 256 bytes.
const std::vector<std::string> kWhole = {"gpt-2",     "default", "deepseek-v3", "qwen2",
                                         "llama-bpe", "smollm",  "other-regex"};

TEST(BytesTest, BrokenUtf8ComesBackByteForByte) {
  std::mt19937 random(1);
  const std::string shapes[] = {
      "\xE4\xBD",     "\xE4",     "\x80",      "\xC0\xAF",   "\xED\xA0\x80", "\xF4\x90\x80\x80",
      "\xF0\x9F\xA4", "\xFF\xFE", "\xE4 \xBD", "中\xE6\x96", "\xC2",         "a\xCC"};
  for (const std::string& name : kWhole) {
    const auto tokenizer = golden_tokenizer(name);
    for (int b = 0; b < 256; ++b) {
      const std::string text(1, static_cast<char>(b));
      ASSERT_EQ(tokenizer->decode(tokenizer->encode(text)), text) << name << " byte " << b;
    }
    for (const std::string& shape : shapes)
      for (const std::string& text :
           {shape, "a" + shape, shape + "b", " " + shape + shape + "\n", "中" + shape + "文1"})
        ASSERT_EQ(tokenizer->decode(tokenizer->encode(text)), text) << name;
    for (int i = 0; i < 300; ++i) {
      const std::string text = random_bytes(random, random() % 200);
      ASSERT_EQ(tokenizer->decode(tokenizer->encode(text)), text) << name;
    }
  }
}

TEST(BytesTest, AByteThatIsNoUtf8IsASymbolOfItsOwn) {
  // gpt-2 keeps letters apart from symbols: the broken byte ends the word, and takes the blank before it
  // along.
  const auto tokenizer =
      make(byte_vocabulary({"a \xC3\xA3", "Ġ a"}));  // "a" + byte 0xE3; never merged across pieces
  EXPECT_EQ(tokenizer->encode("a\xE3"), (std::vector<Token>{'a', 0xE3}));
  EXPECT_EQ(tokenizer->encode(" a\xE3"), (std::vector<Token>{257, 0xE3}));
}

TEST(BytesTest, LongRunsTakeTimeInProportion) {
  for (const std::string& name : golden_names()) {
    const auto tokenizer = golden_tokenizer(name);
    for (const char* unit : {"a", " ", "\n", "1", "中", "=", "\xFF", "a ", "'", "\xCC\x81"}) {
      std::string text;
      while (text.size() < 200'000) text += unit;
      for (const std::string& whole : {text, "x" + text + "y"}) {
        const double start = testing_support::cpu_seconds();
        const auto tokens = tokenizer->encode(whole);
        const double took = testing_support::cpu_seconds() - start;
        if (std::string_view(unit) != "\xFF") {
          ASSERT_EQ(tokenizer->decode(tokens), whole) << name;
        }
        EXPECT_LT(took, 20) << name << ": quadratic in a run of '" << unit << "'?";
      }
    }
  }
}

TEST(BytesTest, ThreadsShareATokenizer) {
  const auto tokenizer = golden_tokenizer("deepseek-v3");
  const auto lines = nlohmann::json::parse(read_file(golden_folder() + "/lines.json"));
  std::vector<std::vector<Token>> want;
  for (const auto& line : lines) want.push_back(tokenizer->encode(line.get<std::string>()));
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (std::size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < lines.size(); ++i) {
        const std::size_t at = (i + t * 401) % lines.size();
        if (tokenizer->encode(lines[at].get<std::string>()) != want[at]) ++wrong[t];
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace deepwell::testing_tokenizer
