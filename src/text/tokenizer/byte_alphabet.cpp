// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/byte_alphabet.h"

#include <array>
#include <cstdint>

namespace deepwell::byte_alphabet {
namespace {

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Tables {
  std::array<std::array<char, 2>, 256> letters{};
  std::array<std::uint8_t, 256> sizes{};
  std::array<std::int16_t, 0x144> bytes{};  // by code point; -1: no letter
  constexpr Tables() {
    bytes.fill(-1);
    unsigned next = 0x100;
    for (unsigned b = 0; b < 256; ++b) {
      const unsigned point = stands_for_itself(b) ? b : next++;
      bytes[point] = static_cast<std::int16_t>(b);
      sizes[b] = point < 0x80 ? 1 : 2;
      if (point < 0x80)
        letters[b] = {static_cast<char>(point), 0};
      else
        letters[b] = {static_cast<char>(0xC0 | point >> 6), static_cast<char>(0x80 | (point & 63))};
    }
  }
};
constexpr Tables kTables;

}  // namespace

std::string_view letter_of(unsigned char byte) { return {kTables.letters[byte].data(), kTables.sizes[byte]}; }

std::optional<unsigned char> byte_of(char32_t letter) {
  if (letter >= kTables.bytes.size() || kTables.bytes[letter] < 0) return std::nullopt;
  return static_cast<unsigned char>(kTables.bytes[letter]);
}

bool append_bytes_of(std::string_view text, std::string& out) {
  const std::size_t before = out.size();
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned point = static_cast<unsigned char>(text[i]);
    if (point >= 0x80) {
      const unsigned tail = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
      point =
          point >= 0xC2 && point <= 0xC5 && (tail & 0xC0) == 0x80 ? (point & 31) << 6 | (tail & 63) : 0xFFFF;
      ++i;
    }
    if (point >= kTables.bytes.size() || kTables.bytes[point] < 0) {
      out.resize(before);
      return false;
    }
    out += static_cast<char>(kTables.bytes[point]);
  }
  return true;
}

std::optional<std::string> bytes_of(std::string_view text) {
  std::string out;
  if (!append_bytes_of(text, out)) return std::nullopt;
  return out;
}

}  // namespace deepwell::byte_alphabet
