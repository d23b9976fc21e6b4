// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/quant/packing.h"

namespace deepwell {

/// Q4_K and Q5_K: blocks of 256 = 8 sub-blocks of 32; weight = d * scale[s] * step - dmin * min[s], with
/// 6-bit scales and minima. File block: d, dmin, 12 bytes of scales, [32 bytes of fifth bits], 128 of
/// nibbles.
///
/// Packed planes of a group (S = k/256):
///   steps    (S, 4 pairs, 8 words, 16 rows) words: low nibbles are step k = 4w+i of sub-block 2p, high of
///   2p+1 high     Q5_K: (S, 8 words, 16 rows) words: bit s of byte i of word w is the fifth bit of step 4w+i
///   of
///            sub-block s
///   scales   (S, 192) bytes: scales then minima, 96 each: (4, 16 rows) bytes with the low 4 bits of
///            sub-blocks j (low nibble) and j+4 (high), then (2, 16 rows) bytes with the upper 2 bits of
///            sub-blocks 4h+i at bit 2i
///   d, dmin  (S, 16 rows) halves each
template <int kStepBits>
struct KQuant {
  static constexpr int kBits = kStepBits;
  static constexpr int kBlock = 256;
  static constexpr std::int64_t kStepBytes = 2048;
  static constexpr std::int64_t kHighBytes = kBits == 5 ? 512 : 0;
  static constexpr std::int64_t kFileBytes = kBits == 5 ? 176 : 144;

  static std::int64_t high_offset(std::int64_t k) { return k / kBlock * kStepBytes; }
  static std::int64_t scale_offset(std::int64_t k) { return k / kBlock * (kStepBytes + kHighBytes); }
  static std::int64_t d_offset(std::int64_t k) { return k / kBlock * (kStepBytes + kHighBytes + 192); }
  static std::int64_t dmin_offset(std::int64_t k) { return k / kBlock * (kStepBytes + kHighBytes + 224); }
  static std::int64_t group_bytes(std::int64_t k) {
    return round_up(k / kBlock * (kStepBytes + kHighBytes + 256), 64);
  }

  /// Sub-block s's 6-bit scale and minimum in a file block's 12 bytes.
  static void file_scale(const std::byte* bytes, int s, int& scale, int& minimum) {
    if (s < 4) {
      scale = load_u8(bytes + s) & 63;
      minimum = load_u8(bytes + s + 4) & 63;
    } else {
      scale = (load_u8(bytes + s + 4) & 15) | (load_u8(bytes + s - 4) >> 6) << 4;
      minimum = (load_u8(bytes + s + 4) >> 4) | (load_u8(bytes + s) >> 6) << 4;
    }
  }

  /// 6-bit value of sub-block s and row r in a packed 96-byte table.
  static int packed_scale(const std::byte* table, int s, int r) {
    const int low = load_u8(table + s % 4 * kGroupRows + r) >> (s < 4 ? 0 : 4) & 15;
    return low | (load_u8(table + 64 + s / 4 * kGroupRows + r) >> (2 * (s % 4)) & 3) << 4;
  }
  /// 6-bit values of 16 rows into a packed 96-byte table, from planes (byte, 16 rows) of the file's 12 bytes:
  /// `own` holds sub-blocks 0..3 and the upper bits of 4..7, whose low bits are the nibbles of `shared` at
  /// kShift.
  template <int kShift>
  static void pack_scales(const std::byte* own, const std::byte* shared, std::byte* table) {
    for (int j = 0; j < 4 * kGroupRows; ++j)
      table[j] = (own[j] & std::byte{15}) | (shared[j] >> kShift & std::byte{15}) << 4;
    for (int r = 0; r < kGroupRows; ++r) {
      std::byte low{0}, high{0};
      for (int i = 0; i < 4; ++i) {
        const std::byte value = own[i * kGroupRows + r];
        low |= (value >> 4 & std::byte{3}) << (2 * i);
        high |= (value >> 6) << (2 * i);
      }
      table[64 + r] = low;
      table[64 + kGroupRows + r] = high;
    }
  }

  static void dequantize(const std::byte* row, std::int64_t n, float* out) {
    for (std::int64_t b = 0; b < n / kBlock; ++b) {
      const std::byte* block = row + b * kFileBytes;
      const float d = load_half(block);
      const float dmin = load_half(block + 2);
      const std::byte* high = block + 16;
      const std::byte* steps = block + (kBits == 5 ? 48 : 16);
      for (int s = 0; s < 8; ++s) {
        int scale, minimum;
        file_scale(block + 4, s, scale, minimum);
        const float step_scale = d * static_cast<float>(scale);
        const float offset = dmin * static_cast<float>(minimum);
        for (int i = 0; i < 32; ++i) {
          int step = load_u8(steps + s / 2 * 32 + i) >> (s % 2 * 4) & 15;
          if constexpr (kBits == 5) step |= (load_u8(high + i) >> s & 1) << 4;
          out[b * kBlock + s * 32 + i] = step_scale * static_cast<float>(step) - offset;
        }
      }
    }
  }

  static void pack(const std::byte* const* rows, std::int64_t k, std::byte* group) {
    for (std::int64_t b = 0; b < k / kBlock; ++b) {
      const std::int64_t at = b * kFileBytes;
      interleave_words(rows, at + (kBits == 5 ? 48 : 16), 32, 0, 0, group + b * kStepBytes);
      if constexpr (kBits == 5)
        interleave_words(rows, at + 16, 8, 0, 0, group + high_offset(k) + b * kHighBytes);
      std::byte* scales = group + scale_offset(k) + b * 192;
      std::byte bytes[12 * kGroupRows];
      interleave_bytes(rows, at + 4, 12, bytes);
      pack_scales<0>(bytes, bytes + 8 * kGroupRows, scales);
      pack_scales<4>(bytes + 4 * kGroupRows, bytes + 8 * kGroupRows, scales + 96);
      interleave_halves(rows, at, group + d_offset(k) + b * 32);
      interleave_halves(rows, at + 2, group + dmin_offset(k) + b * 32);
    }
  }

  static void unpack(const std::byte* group, std::int64_t k, float* out) {
    for (std::int64_t b = 0; b < k / kBlock; ++b) {
      const std::byte* scales = group + scale_offset(k) + b * 192;
      for (int r = 0; r < kGroupRows; ++r) {
        const float d = load_half(group + d_offset(k) + b * 32 + 2 * r);
        const float dmin = load_half(group + dmin_offset(k) + b * 32 + 2 * r);
        for (int s = 0; s < 8; ++s) {
          const float step_scale = d * static_cast<float>(packed_scale(scales, s, r));
          const float offset = dmin * static_cast<float>(packed_scale(scales + 96, s, r));
          for (int i = 0; i < 32; ++i) {
            const std::int64_t word = (s / 2 * 8 + i / 4) * kGroupRows + r;
            int step = load_u8(group + b * kStepBytes + 4 * word + i % 4) >> (s % 2 * 4) & 15;
            if constexpr (kBits == 5) {
              const std::int64_t high_word = i / 4 * kGroupRows + r;
              step |= (load_u8(group + high_offset(k) + b * kHighBytes + 4 * high_word + i % 4) >> s & 1)
                      << 4;
            }
            out[(b * kBlock + s * 32 + i) * kGroupRows + r] = step_scale * static_cast<float>(step) - offset;
          }
        }
      }
    }
  }

  static WeightFormat format(TypeId type) {
    return {type, Activation::kQ8x256, dequantize, group_bytes, pack, unpack};
  }
};

}  // namespace deepwell
