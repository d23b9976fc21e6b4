// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

/// Characters and their classes, as pre-tokenizers see them.
///
/// A byte that is no part of valid UTF-8 counts as a character of its own, one byte long, of class kSymbol
/// (as U+FFFD, that stands for it in print). So every byte string has exactly one reading, and cutting it
/// between characters loses nothing.
namespace deepwell::unicode {

enum Class : std::uint8_t {
  kLetter = 1,        // \p{L}
  kNumber = 2,        // \p{N}
  kPunctuation = 4,   // \p{P}
  kSymbol = 8,        // \p{S}
  kMark = 16,         // \p{M}
  kSpace = 32,        // \s
  kCased = 64,        // the letters of deepseek-llm's word pattern
  kDigitSplit = 128,  // what Hugging Face's Digits takes for a digit: \p{N} of a newer Unicode
};

extern const std::uint8_t kBlockOfPoint[0x110000 / 128];
extern const std::uint8_t kClassesOfBlock[];

inline std::uint8_t classes_of(std::uint32_t point) {
  return kClassesOfBlock[std::size_t{kBlockOfPoint[point >> 7]} * 128 + (point & 127)];
}

struct Char {
  std::uint32_t point;   ///< 0xFFFD for a byte that is not UTF-8
  std::uint8_t bytes;    ///< 1 to 4
  std::uint8_t classes;  ///< bits of Class
  bool is(int mask) const { return (classes & mask) != 0; }
  bool is_newline() const { return point == '\n' || point == '\r'; }
};

/// The character at `at`; requires at < end.
inline Char char_at(const char* at, const char* end) {
  const auto byte = [&](std::ptrdiff_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(at[i]));
  };
  const auto tail = [&](std::ptrdiff_t i) { return (byte(i) & 0xC0) == 0x80; };
  const std::uint32_t b = byte(0);
  if (b < 0x80) return {b, 1, kClassesOfBlock[b]};
  const std::ptrdiff_t left = end - at;
  if (b >= 0xE0 && b < 0xF0 && left >= 3 && tail(1) && tail(2)) {
    const std::uint32_t point = (b & 15) << 12 | (byte(1) & 63) << 6 | (byte(2) & 63);
    if (point >= 0x800 && (point < 0xD800 || point >= 0xE000)) return {point, 3, classes_of(point)};
  } else if (b >= 0xC2 && b < 0xE0 && left >= 2 && tail(1)) {
    const std::uint32_t point = (b & 31) << 6 | (byte(1) & 63);
    return {point, 2, classes_of(point)};
  } else if (b >= 0xF0 && b < 0xF5 && left >= 4 && tail(1) && tail(2) && tail(3)) {
    const std::uint32_t point = (b & 7) << 18 | (byte(1) & 63) << 12 | (byte(2) & 63) << 6 | (byte(3) & 63);
    if (point >= 0x10000 && point < 0x110000) return {point, 4, classes_of(point)};
  }
  return {0xFFFD, 1, kSymbol};
}

}  // namespace deepwell::unicode
