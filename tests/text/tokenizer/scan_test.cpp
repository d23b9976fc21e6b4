// SPDX-License-Identifier: Apache-2.0
// Goal: every hand-written scanner cuts exactly where its pattern does.
// Method: PCRE2 runs the same pattern over random strings of characters that have not changed class in
// Unicode.
#include "text/tokenizer/scan.h"

#include "text/tokenizer/regex_scan.h"
#include "text/tokenizer/support.h"

namespace deepwell::testing_tokenizer {
namespace {

using namespace pretokenizer;

class Collector final : public PieceSink {
 public:
  std::vector<std::string> pieces;

 private:
  void take(std::span<const std::string_view> some) override {
    pieces.insert(pieces.end(), some.begin(), some.end());
  }
};

TEST(ScanTest, EveryScannerCutsAsItsPattern) {
  const std::string alphabet[] = {"a",  "B",  "s",  "t",    "re", "ll",     "'",      "'",      " ",
                                  " ",  "  ", "\n", "\r\n", "\t", "1",      "23",     "4567",   ".",
                                  "!",  "$",  "~",  "_",    "中", "文",     "あ",     "・",     "한",
                                  "é",  "ß",  "Ж",  "ש",    "ſ",  "\u0301", "\u3000", "\u00A0", "\u2003",
                                  "，", "“",  "€",  "😀",    "²",  "٣",      "ก",      "\x01",   "\u200D"};
  std::mt19937 random(3);
  for (const PreTokenizer& pre : all_pretokenizers())
    for (const Scanner& scanner : pre.passes) {
      if (scanner.pattern.starts_with("(*")) continue;  // no pattern says what Digits does
      auto regex = make_regex_pass(std::string(scanner.pattern));
      ASSERT_TRUE(regex.ok()) << regex.error().message;
      for (int i = 0; i < 3000; ++i) {
        std::string text;
        for (auto n = 1 + random() % 12; n > 0; --n) text += alphabet[random() % std::size(alphabet)];
        Collector got, want;
        scanner.cut(text.data(), text.data() + text.size(), got);
        (*regex)->cut(text.data(), text.data() + text.size(), want);
        got.flush();
        want.flush();
        ASSERT_EQ(got.pieces, want.pieces)
            << pre.names[0].name << " " << scanner.pattern << " on '" << text << "'";
      }
    }
}

TEST(ScanTest, FirstByteFiltersMissNoCharacter) {
  for (std::uint32_t point = 1; point < 0x110000; ++point) {
    if (point >= 0xD800 && point < 0xE000) continue;
    std::string text;
    if (point < 0x80) {
      text = {static_cast<char>(point)};
    } else if (point < 0x800) {
      text = {static_cast<char>(0xC0 | point >> 6), static_cast<char>(0x80 | (point & 63))};
    } else if (point < 0x10000) {
      text = {static_cast<char>(0xE0 | point >> 12), static_cast<char>(0x80 | (point >> 6 & 63)),
              static_cast<char>(0x80 | (point & 63))};
    } else {
      text = {static_cast<char>(0xF0 | point >> 18), static_cast<char>(0x80 | (point >> 12 & 63)),
              static_cast<char>(0x80 | (point >> 6 & 63)), static_cast<char>(0x80 | (point & 63))};
    }
    const Char c = char_at(text.data(), text.data() + text.size());
    ASSERT_EQ(c.point, point);
    ASSERT_EQ(c.bytes, text.size());
    ASSERT_TRUE(!c.is(unicode::kNumber | unicode::kDigitSplit) || kNumberFirst[text[0]]) << point;
    const bool east_asian = (point >= 0x800 && point <= 0x9FFF) || (point >= 0xAC00 && point <= 0xD7FF);
    ASSERT_TRUE(!east_asian || kEastAsianFirst[text[0]]) << point;
  }
  for (unsigned b = 0x80; b < 0xC0; ++b) {
    EXPECT_FALSE(kNumberFirst[static_cast<char>(b)]);
    EXPECT_FALSE(kEastAsianFirst[static_cast<char>(b)]);
  }
}

TEST(RegexScanTest, RefusesWhatEnginesReadDifferently) {
  for (const char* pattern : {"\\h+", "[a&&b]", "a{2}+", "(?m)a.b", "(*UTF)a", "a\\Kb", "[[a]b]", "", "(a",
                              "[]a]", "\\u0041", "(?-im:a)", "\\C", "(*DIGITSX)"}) {
    const auto pass = make_regex_pass(pattern);
    ASSERT_FALSE(pass.ok()) << pattern;
    EXPECT_EQ(pass.error().code, ErrorCode::kUnsupported);
  }
  EXPECT_FALSE(make_regex_pass(std::string(20'000, 'a')).ok());
  for (const char* pattern : {"\\p{L}++|\\p{N}", "[[:alpha:]]+|\\s", "(?i:ab)|[^\\]]", "a{2,3}|\\p{Lu}+"})
    EXPECT_TRUE(make_regex_pass(pattern).ok()) << pattern;
}

TEST(RegexScanTest, GivesUpOnAPatternThatExplodes) {
  const auto pass = make_regex_pass("(a|aa|aaa)+$");
  ASSERT_TRUE(pass.ok());
  const std::string text = std::string(5'000, 'a') + "b";
  Collector got;
  (*pass)->cut(text.data(), text.data() + text.size(), got);
  got.flush();
  std::string joined;
  for (const std::string& piece : got.pieces) joined += piece;
  EXPECT_EQ(joined, text);
}

TEST(RegexScanTest, QuotesATextIntoAPattern) {
  const std::string text = "a.b*c[d](e)\\f{2}|^$?+-#&/ ~";
  const auto pass = make_regex_pass(quote_regex(text));
  ASSERT_TRUE(pass.ok()) << pass.error().message;
  const std::string whole = "x" + text + "y";
  Collector got;
  (*pass)->cut(whole.data(), whole.data() + whole.size(), got);
  got.flush();
  EXPECT_EQ(got.pieces, (std::vector<std::string>{"x", text, "y"}));
}

}  // namespace
}  // namespace deepwell::testing_tokenizer
