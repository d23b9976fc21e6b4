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
/// Requires words % 4 == 0. Loading a model is mostly this, so 4 rows of 4 words are turned at a time.
inline void interleave_words(const std::byte* const* rows, std::int64_t offset, int words, std::uint32_t flip,
                             std::uint32_t pad, std::byte* out) {
  using Words = std::uint32_t __attribute__((vector_size(16)));
  const Words flips = {flip, flip, flip, flip}, pads = {pad, pad, pad, pad};
  for (int r = 0; r < kGroupRows; r += 4) {
    for (int w = 0; w < words; w += 4) {
      Words line[4];
      for (int i = 0; i < 4; ++i)
        line[i] = rows[r + i] == nullptr ? pads : load_as<Words>(rows[r + i] + offset + 4 * w) ^ flips;
      const Words low01 = __builtin_shufflevector(line[0], line[1], 0, 4, 1, 5);
      const Words high01 = __builtin_shufflevector(line[0], line[1], 2, 6, 3, 7);
      const Words low23 = __builtin_shufflevector(line[2], line[3], 0, 4, 1, 5);
      const Words high23 = __builtin_shufflevector(line[2], line[3], 2, 6, 3, 7);
      std::byte* const to = out + 4 * (w * kGroupRows + r);
      store_as(to, __builtin_shufflevector(low01, low23, 0, 1, 4, 5));
      store_as(to + 4 * kGroupRows, __builtin_shufflevector(low01, low23, 2, 3, 6, 7));
      store_as(to + 8 * kGroupRows, __builtin_shufflevector(high01, high23, 0, 1, 4, 5));
      store_as(to + 12 * kGroupRows, __builtin_shufflevector(high01, high23, 2, 3, 6, 7));
    }
  }
}

/// Lays `count` bytes of each of 16 rows side by side: out[byte][row]; 0 for missing rows.
inline void interleave_bytes(const std::byte* const* rows, std::int64_t offset, int count, std::byte* out) {
  for (int r = 0; r < kGroupRows; ++r)
    for (int i = 0; i < count; ++i)
      out[i * kGroupRows + r] = rows[r] == nullptr ? std::byte{0} : rows[r][offset + i];
}

/// Lays one half per row side by side: out[row]; 0 for missing rows.
inline void interleave_halves(const std::byte* const* rows, std::int64_t offset, std::byte* out) {
  for (int r = 0; r < kGroupRows; ++r)
    store_as<std::uint16_t>(out + 2 * r,
                            rows[r] == nullptr ? std::uint16_t{0} : load_as<std::uint16_t>(rows[r] + offset));
}

}  // namespace deepwell
