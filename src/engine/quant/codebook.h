// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <string_view>

#include "engine/quant/packing.h"

namespace deepwell {

// The IQ types store indices into codebooks: fixed lists of 8 (or 4) levels. Source of the codebooks: the
// tables of the gguf Python package (MIT licence), as numbers.

constexpr int hex_digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

/// A codebook of `kEntries` times `kValues` levels from hex: 2 bytes an entry, level numbers of 16/kValues
/// bits, the first in the lowest bits of the first byte.
template <std::size_t kEntries, std::size_t kValues>
constexpr std::array<std::array<std::int8_t, kValues>, kEntries> expand_codebook(
    std::string_view hex, const std::array<std::int8_t, 8>& levels) {
  static_assert(kValues == 4 || kValues == 8);
  std::array<std::array<std::int8_t, kValues>, kEntries> book{};
  for (std::size_t e = 0; e < kEntries; ++e) {
    // Digits are written high first, bytes low first.
    const int code = hex_digit(hex.at(4 * e)) << 4 | hex_digit(hex.at(4 * e + 1)) |
                     hex_digit(hex.at(4 * e + 2)) << 12 | hex_digit(hex.at(4 * e + 3)) << 8;
    for (std::size_t i = 0; i < kValues; ++i)
      book[e][i] = levels[static_cast<unsigned>(code) >> (i * 16 / kValues) & (kValues == 8 ? 3U : 7U)];
  }
  return book;
}

/// Seven signs and an eighth that makes the number of minus signs even.
inline constexpr auto kEvenSigns = [] {
  std::array<std::uint8_t, 128> signs{};
  for (unsigned i = 0; i < 128; ++i)
    signs[i] = static_cast<std::uint8_t>(i | (static_cast<unsigned>(std::popcount(i)) & 1U) << 7);
  return signs;
}();

}  // namespace deepwell
