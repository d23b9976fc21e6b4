// SPDX-License-Identifier: Apache-2.0
// What a GGUF file without a pre-tokenizer's name has been read with since such names came up.
#include "text/tokenizer/scan.h"

namespace deepwell::pretokenizer {
namespace {

// [\p{P}\$\+<=>\^~\|]+
bool is_mark(const Char& c) {
  return c.is(unicode::kPunctuation) ||
         (c.point < 128 &&
          std::string_view("$+<=>^~|").find(static_cast<char>(c.point)) != std::string_view::npos);
}

const char* three_digits(const char* at, const char* end) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return end - at >= 3 && digit(at[0]) && digit(at[1]) && digit(at[2]) ? at + 3 : at;
}

}  // namespace

PreTokenizer pretokenizer_pre_default() {
  return {{{"default"}},
          {{R"([\p{P}\$\+<=>\^~\|]+)", cut_matches<run_of<is_mark>>},
           {kGpt2Pattern, cut_matches<gpt2_word>},
           {R"(\p{N}+)", cut_matches<run_of<is_number>, kNumberFirst>},
           {"[0-9][0-9][0-9]", cut_matches<three_digits>}}};
}

}  // namespace deepwell::pretokenizer
