// SPDX-License-Identifier: Apache-2.0
// DeepSeek-Coder (V1).
#include "text/tokenizer/scan.h"

namespace deepwell::pretokenizer {
namespace {

bool is_letter(const Char& c) { return c.is(unicode::kLetter); }
bool is_punctuation(const Char& c) { return c.is(unicode::kPunctuation); }
// [一-龥ࠀ-一가-퟿]
bool is_east_asian(const Char& c) {
  return (c.point >= 0x800 && c.point <= 0x9FA5) || (c.point >= 0xAC00 && c.point <= 0xD7FF);
}

}  // namespace

PreTokenizer pretokenizer_pre_deepseek_coder() {
  return {{{"deepseek-coder", true}},
          {{R"([\r\n])", cut_matches<newline, kNewlineFirst>},
           {R"(\s?\p{L}+)", cut_matches<spaced_run<is_letter>>},
           {R"(\s?\p{P}+)", cut_matches<spaced_run<is_punctuation>>},
           {"[一-龥ࠀ-一가-퟿]+", cut_matches<run_of<is_east_asian>, kEastAsianFirst>},
           {R"(\p{N})", cut_matches<short_run<is_number, 1>, kNumberFirst>}}};
}

}  // namespace deepwell::pretokenizer
