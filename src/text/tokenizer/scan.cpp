// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/scan.h"

namespace deepwell::pretokenizer {
namespace {

const char* contraction_of(char first, char second, const char* at, int bytes_first) {
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 1 + bytes_first;
  if ((first == 'r' || first == 'v') && second == 'e') return at + 3;
  if (first == 'l' && second == 'l') return at + 3;
  return at;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

const char* contraction(const char* at, const char* end) {
  if (end - at < 2 || *at != '\'') return at;
  return contraction_of(at[1], end - at > 2 ? at[2] : '\0', at, 1);
}

const char* contraction_any_case(const char* at, const char* end) {
  if (end - at < 2 || *at != '\'') return at;
  if (at[1] == '\xC5' && end - at > 2 && at[2] == '\xBF') return at + 3;
  return contraction_of(lower(at[1]), end - at > 2 ? lower(at[2]) : '\0', at, 1);
}

const char* gpt2_word(const char* at, const char* end) {
  using namespace unicode;
  const auto letter = [](const Char& c) { return c.is(kLetter); };
  const auto number = [](const Char& c) { return c.is(kNumber); };
  const auto other = [](const Char& c) { return !c.is(kSpace | kLetter | kNumber); };
  Char c = char_at(at, end);
  const char* next = at + c.bytes;
  if (c.point == '\'')
    if (const char* const stop = contraction(at, end); stop != at) return stop;
  if (c.point == ' ' && next < end)
    if (const Char d = char_at(next, end); !d.is(kSpace)) {
      c = d;
      next += d.bytes;
    }
  if (c.is(kLetter)) return run(next, end, letter);
  if (c.is(kNumber)) return run(next, end, number);
  if (!c.is(kSpace)) return run(next, end, other);
  return spaces_but_last(at, end);
}

}  // namespace deepwell::pretokenizer
