// SPDX-License-Identifier: Apache-2.0
// DeepSeek-LLM, DeepSeek-MoE, DeepSeek-V2 and DeepSeek-Coder-V2.
#include "text/tokenizer/scan.h"

namespace deepwell::pretokenizer {
namespace {

constexpr std::string_view kWordPattern =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)";

bool is_cased(const Char& c) { return c.is(unicode::kCased); }

// [!-/:-~！-／：-～‘-‟　-。]; the letters in it are the word pattern's first, where they stand alone
bool is_mark(const Char& c) {
  const auto within = [&](std::uint32_t first, std::uint32_t last) {
    return c.point >= first && c.point <= last;
  };
  return within('!', '/') || within(':', '~') || within(0xFF01, 0xFF0F) || within(0xFF1A, 0xFF5E) ||
         within(0x2018, 0x201F) || within(0x3000, 0x3002);
}

// [一-龥ࠀ-一가-퟿]
bool is_east_asian(const Char& c) {
  return (c.point >= 0x800 && c.point <= 0x9FA5) || (c.point >= 0xAC00 && c.point <= 0xD7FF);
}

// \s+$, where $ is the end of the piece or of a line in it: of a run of spaces, what lies before its last
// line feed, or all of it at the end of the piece.
void cut_trailing_space(const char* begin, const char* end, PieceSink& out) {
  const char* gap = begin;
  for (const char* at = begin; at < end;) {
    const Char first = char_at(at, end);
    if (!first.is(unicode::kSpace)) {
      at += first.bytes;
      continue;
    }
    const char* stop = at;
    const char* last_feed = at;
    while (stop < end) {
      const Char c = char_at(stop, end);
      if (!c.is(unicode::kSpace)) break;
      if (c.point == '\n') last_feed = stop;
      stop += c.bytes;
    }
    const char* const match = stop == end ? end : last_feed;
    if (match > at) {
      if (gap < at) out.add(gap, at);
      out.add(at, match);
      gap = match;
    }
    at = stop;
  }
  if (gap < end) out.add(gap, end);
}

}  // namespace

PreTokenizer pretokenizer_pre_deepseek_llm() {
  return {{{"deepseek-llm", true}},
          {{R"([\r\n])", cut_matches<newline, kNewlineFirst>},
           {kWordPattern, cut_matches<spaced_run<is_cased>>},
           {R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)", cut_matches<spaced_run<is_mark>>},
           {R"(\s+$)", cut_trailing_space},
           {"[一-龥ࠀ-一가-퟿]+", cut_matches<run_of<is_east_asian>, kEastAsianFirst>},
           {R"(\p{N}+)", cut_matches<run_of<is_number>, kNumberFirst>}}};
}

}  // namespace deepwell::pretokenizer
