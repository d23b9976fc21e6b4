// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <initializer_list>
#include <utility>

#include "text/tokenizer/pretokenizer.h"
#include "text/tokenizer/unicode.h"

/// The parts that the hand-written scanners of pre/ are put together from.
///
/// A matcher says where the match that starts at `at` ends, or `at` itself when there is none. All of them
/// look at each character a bounded number of times, so a scan is linear in the text.
namespace deepwell::pretokenizer {

using unicode::Char;
using unicode::char_at;

/// Which bytes a match may start with. Only a filter, to skip quickly where no match can be: it may say yes
/// too often. It never names a byte that can stand inside a character, so skipping keeps to whole characters.
class FirstBytes {
 public:
  constexpr FirstBytes(std::initializer_list<std::pair<unsigned, unsigned>> ranges) {
    for (const auto& [first, last] : ranges)
      for (unsigned b = first; b <= last; ++b) may_start_[b] = true;
  }
  constexpr bool any() const { return may_start_[0]; }  // no filter at all
  constexpr bool operator[](char c) const { return may_start_[static_cast<unsigned char>(c)]; }

 private:
  std::array<bool, 256> may_start_{};
};
inline constexpr FirstBytes kAnyFirst{{0x00, 0x7F}, {0xC2, 0xF4}};
inline constexpr FirstBytes kNewlineFirst{{'\n', '\n'}, {'\r', '\r'}};
inline constexpr FirstBytes kNumberFirst{{'0', '9'}, {0xC2, 0xE3}, {0xEA, 0xEA}, {0xEF, 0xF0}};
inline constexpr FirstBytes kEastAsianFirst{{0xE0, 0xED}};

/// Cuts where the matcher matches: leftmost first, never overlapping, as a regex search does.
template <auto kMatch, const FirstBytes& kFirst = kAnyFirst>
void cut_matches(const char* begin, const char* end, PieceSink& out) {
  const char* gap = begin;
  for (const char* at = begin; at < end;) {
    if (!kFirst.any()) {
      while (at < end && !kFirst[*at]) ++at;
      if (at == end) break;
    }
    const char* const stop = kMatch(at, end);
    if (stop == at) {
      at += char_at(at, end).bytes;
      continue;
    }
    if (gap < at) out.add(gap, at);
    out.add(at, stop);
    gap = at = stop;
  }
  if (gap < end) out.add(gap, end);
}

/// The end of the run of characters for which `belongs` holds.
template <class Belongs>
inline const char* run(const char* at, const char* end, Belongs belongs) {
  while (at < end) {
    const Char c = char_at(at, end);
    if (!belongs(c)) break;
    at += c.bytes;
  }
  return at;
}

inline const char* newlines(const char* at, const char* end) {
  while (at < end && (*at == '\n' || *at == '\r')) ++at;
  return at;
}

/// [\r\n]
inline const char* newline(const char* at, const char* end) {
  return at < end && (*at == '\n' || *at == '\r') ? at + 1 : at;
}

/// [...]+ for the class kBelongs
template <auto kBelongs>
inline const char* run_of(const char* at, const char* end) {
  return run(at, end, kBelongs);
}

/// \s?[...]+ for the class kBelongs, which may hold spaces itself
template <auto kBelongs>
inline const char* spaced_run(const char* at, const char* end) {
  const Char c = char_at(at, end);
  if (c.is(unicode::kSpace)) {
    const char* const after = at + c.bytes;
    const char* const stop = run(after, end, kBelongs);
    if (stop != after) return stop;
  }
  return kBelongs(c) ? run(at + c.bytes, end, kBelongs) : at;
}

inline bool is_number(const Char& c) { return c.is(unicode::kNumber); }
inline bool is_digit_split(const Char& c) { return c.is(unicode::kDigitSplit); }

/// [...]{1,kMost} for the class kBelongs
template <auto kBelongs, int kMost>
inline const char* short_run(const char* at, const char* end) {
  for (int i = 0; i < kMost && at < end; ++i) {
    const Char c = char_at(at, end);
    if (!kBelongs(c)) break;
    at += c.bytes;
  }
  return at;
}

/// \s+(?!\S)|\s+ at a space: a run of spaces, less its last character when something follows the run.
inline const char* spaces_but_last(const char* at, const char* end) {
  const char* last = at;
  const char* stop = at;
  while (stop < end) {
    const Char c = char_at(stop, end);
    if (!c.is(unicode::kSpace)) break;
    last = stop;
    stop += c.bytes;
  }
  return stop == end || last == at ? stop : last;
}

/// \s*[\r\n]+|\s+(?!\S)|\s+ at a space: up to the run's last line break, if it has one.
inline const char* spaces_by_line(const char* at, const char* end) {
  const char* last = at;
  const char* stop = at;
  const char* after_newline = nullptr;
  while (stop < end) {
    const Char c = char_at(stop, end);
    if (!c.is(unicode::kSpace)) break;
    last = stop;
    stop += c.bytes;
    if (c.is_newline()) after_newline = stop;
  }
  if (after_newline) return after_newline;
  return stop == end || last == at ? stop : last;
}

/// 's|'t|'re|'ve|'m|'ll|'d
const char* contraction(const char* at, const char* end);
/// (?i:'s|'t|'re|'ve|'m|'ll|'d); U+017F, the long s, is an s in another case
const char* contraction_any_case(const char* at, const char* end);

/// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// The last alternative changes nothing: without it the same characters stay behind as gaps, one by one.
const char* gpt2_word(const char* at, const char* end);
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,kDigits}| ?[^\s\p{L}\p{N}]+[\r\n]*|
/// \s*[\r\n]+|\s+(?!\S)|\s+
template <int kDigitsMost>
inline const char* line_word(const char* at, const char* end) {
  using namespace unicode;
  const auto letter = [](const Char& c) { return c.is(kLetter); };
  const auto other = [](const Char& c) { return !c.is(kSpace | kLetter | kNumber); };
  const Char c = char_at(at, end);
  const char* const next = at + c.bytes;
  if (c.is(kLetter)) return run(next, end, letter);
  if (c.is(kNumber)) return short_run<is_number, kDigitsMost>(at, end);
  if (c.point == '\'')
    if (const char* const stop = contraction_any_case(at, end); stop != at) return stop;
  if (next < end && !c.is_newline()) {
    const Char d = char_at(next, end);
    if (d.is(kLetter)) return run(next + d.bytes, end, letter);
    if (c.point == ' ' && other(d)) return newlines(run(next + d.bytes, end, other), end);
  }
  if (!c.is(kSpace)) return newlines(run(next, end, other), end);
  return spaces_by_line(at, end);
}

}  // namespace deepwell::pretokenizer
