// SPDX-License-Identifier: Apache-2.0
// DeepSeek-V3, R1, V3.1, V3.2 and V4. Prompts of V4, whose files say joyai-llm, bring their own first token.
#include "text/tokenizer/scan.h"

namespace deepwell::pretokenizer {
namespace {

using namespace unicode;

// [一-龥぀-ゟ゠-ヿ]
bool is_chinese_or_kana(const Char& c) {
  return (c.point >= 0x4E00 && c.point <= 0x9FA5) || (c.point >= 0x3040 && c.point <= 0x30FF);
}

bool is_latin(const Char& c) {
  const std::uint32_t folded = c.point | 0x20;
  return folded >= 'a' && folded <= 'z';
}

constexpr std::string_view kWordPattern =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

const char* word(const char* at, const char* end) {
  const auto letter = [](const Char& c) { return c.is(kLetter | kMark); };
  const auto mark = [](const Char& c) { return c.is(kPunctuation | kSymbol); };
  const Char c = char_at(at, end);
  const char* const next = at + c.bytes;
  if (c.is(kLetter)) return run(next, end, letter);
  if (c.is(kPunctuation | kSymbol)) {
    if (c.point < 128 && next < end && is_latin(char_at(next, end))) return run(next, end, is_latin);
    return newlines(run(next, end, mark), end);
  }
  if (!c.is_newline() && next < end) {
    const Char d = char_at(next, end);
    if (letter(d)) return run(next + d.bytes, end, letter);
    if (c.point == ' ' && mark(d)) return newlines(run(next + d.bytes, end, mark), end);
  }
  if (c.is(kMark)) return next;
  return c.is(kSpace) ? spaces_by_line(at, end) : at;
}

}  // namespace

PreTokenizer pretokenizer_pre_deepseek_v3() {
  return {{{"deepseek-v3", true}, {"joyai-llm", false}},
          {{R"(\p{N}{1,3})", cut_matches<short_run<is_number, 3>, kNumberFirst>},
           {"[一-龥぀-ゟ゠-ヿ]+", cut_matches<run_of<is_chinese_or_kana>, kEastAsianFirst>},
           {kWordPattern, cut_matches<word>}}};
}

}  // namespace deepwell::pretokenizer
