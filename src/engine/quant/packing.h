// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/half.h"
#include "engine/quant/weight_format.h"

namespace deepwell {

// Helpers shared by the packers. File blocks have odd sizes, so every read is a memcpy.

template <class T>
T load_as(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}
template <class T>
void store_as(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}
inline float load_half(const std::byte* from) { return half_to_float(load_as<std::uint16_t>(from)); }
inline int load_u8(const std::byte* from) { return std::to_integer<int>(*from); }
inline int load_i8(const std::byte* from) { return load_as<std::int8_t>(from); }

constexpr std::int64_t round_up(std::int64_t value, std::int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

/// Lays `words` 4-byte words of each of 16 rows side by side: out[word][row]. `pad` fills missing rows.
inline void interleave_words(const std::byte* const* rows, std::int64_t offset, int words, std::uint32_t flip,
                             std::uint32_t pad, std::byte* out) {
  for (int r = 0; r < kGroupRows; ++r) {
    for (int w = 0; w < words; ++w) {
      const std::uint32_t word =
          rows[r] == nullptr ? pad : load_as<std::uint32_t>(rows[r] + offset + 4 * w) ^ flip;
      store_as(out + 4 * (w * kGroupRows + r), word);
    }
  }
}

/// Lays one half per row side by side: out[row]; 0 for missing rows.
inline void interleave_halves(const std::byte* const* rows, std::int64_t offset, std::byte* out) {
  for (int r = 0; r < kGroupRows; ++r)
    store_as<std::uint16_t>(out + 2 * r,
                            rows[r] == nullptr ? std::uint16_t{0} : load_as<std::uint16_t>(rows[r] + offset));
}

}  // namespace deepwell
