// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/quant/wide_rows.h"

namespace deepwell {

/// Types that are widened when they are multiplied: a packed group is the 16 rows of the file, one after
/// another. `Codec` has kType, kBytes (of a block of 256 in the file), kWide, and block(bytes, sink), which
/// hands the 256 weights of a block to a sink. A block of zero bytes must mean zeros.
template <class Codec>
struct RawRows {
  static constexpr std::int64_t kBlock = 256;

  static std::int64_t row_bytes(std::int64_t k) { return k / kBlock * Codec::kBytes; }
  static std::int64_t group_bytes(std::int64_t k) { return round_up(kGroupRows * row_bytes(k), 64); }

  static void dequantize(const std::byte* row, std::int64_t n, float* out) {
    for (std::int64_t b = 0; b < n / kBlock; ++b)
      Codec::block(row + b * Codec::kBytes, FloatSink(out + b * kBlock));
  }
  static void pack(const std::byte* const* rows, std::int64_t k, std::byte* group) {
    const auto size = static_cast<std::size_t>(row_bytes(k));
    for (int r = 0; r < kGroupRows; ++r) {
      std::byte* to = group + r * row_bytes(k);
      if (rows[r] == nullptr)
        std::memset(to, 0, size);
      else
        std::memcpy(to, rows[r], size);
    }
  }
  static void unpack(const std::byte* group, std::int64_t k, float* out) {
    // Four rows at a time: their floats stay in the first-level cache until they are laid side by side.
    alignas(64) float lines[4][kBlock];
    for (std::int64_t b = 0; b < k / kBlock; ++b) {
      for (int first = 0; first < kGroupRows; first += 4) {
        for (int r = 0; r < 4; ++r)
          Codec::block(group + (first + r) * row_bytes(k) + b * Codec::kBytes, FloatSink(lines[r]));
        float* to = out + b * kBlock * kGroupRows + first;
        for (std::int64_t i = 0; i < kBlock; ++i, to += kGroupRows)
          for (int r = 0; r < 4; ++r) to[r] = lines[r][i];
      }
    }
  }
  static void widen(const std::byte* group, std::int64_t k, std::byte* out) {
    for (std::int64_t b = 0; b < k / kBlock; ++b, out += WideRows::block_bytes(Codec::kWide))
      for (int r = 0; r < kGroupRows; ++r)
        Codec::block(group + r * row_bytes(k) + b * Codec::kBytes, WideSink(out, r));
  }
  static WeightFormat format() {
    return {Codec::kType, Activation::kQ8x256, dequantize, group_bytes, pack, unpack, Codec::kWide, widen};
  }
};

}  // namespace deepwell
