// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/quant/packing.h"

namespace deepwell {

/// Q2_K and Q3_K: blocks of 256 = 16 sub-blocks of 16; weight = d * scale[s] * step - dmin * min[s] with
/// 4-bit scales and minima (Q2_K), d * (scale[s] - 32) * (step - 4) with 6-bit scales (Q3_K). Half h (128
/// weights) has the lower two bits of quarter j (32 weights) at bits 2j of its 32 bytes, their third bits at
/// bit 4h+j of 32 bytes that both halves share. File block: Q2_K 16 bytes of scales (low nibbles) and minima
/// (high ones), 64 of steps, d, dmin;
///             Q3_K 32 bytes of third bits, 64 of steps, 12 of scales, d
///
/// Packed planes of a group (S = k/256):
///   steps    (S, 2 halves, 8 words, 16 rows) words, bit pairs as in the file
///   third    Q3_K: (S, 8 words, 16 rows) words, bits as in the file
///   scales   Q2_K: (S, 4 words, 16 rows) words, bytes as in the file: those of sub-blocks 4w..4w+3
///            Q3_K: (S, 3 words, 16 rows) words, bytes as in the file: nibbles of sub-blocks 0..3 and 8..11,
///            of 4..7 and 12..15, then bits 4-5 of 4w..4w+3 at bits 2w
///   d, dmin  (S, 16 rows) halves each; Q3_K has no dmin
template <int kStepBits>
struct TwoBitPlanes {
  static constexpr int kBits = kStepBits;
  static constexpr bool kThird = kBits == 3;
  static constexpr bool kMinima = kBits == 2;
  static constexpr int kBlock = 256;
  static constexpr std::int64_t kStepBytes = 1024;
  static constexpr std::int64_t kThirdBytes = kThird ? 512 : 0;
  static constexpr std::int64_t kScaleBytes = kThird ? 192 : 256;
  static constexpr std::int64_t kFileBytes = kThird ? 110 : 84;
  static constexpr std::int64_t kFileSteps = kThird ? 32 : 16;
  static constexpr std::int64_t kFileScales = kThird ? 96 : 0;
  static constexpr std::int64_t kFileD = kThird ? 108 : 80;

  static std::int64_t third_offset(std::int64_t k) { return k / kBlock * kStepBytes; }
  static std::int64_t scale_offset(std::int64_t k) { return k / kBlock * (kStepBytes + kThirdBytes); }
  static std::int64_t d_offset(std::int64_t k) {
    return k / kBlock * (kStepBytes + kThirdBytes + kScaleBytes);
  }
  static std::int64_t dmin_offset(std::int64_t k) { return d_offset(k) + k / kBlock * 32; }
  static std::int64_t group_bytes(std::int64_t k) { return round_up(k / kBlock * 16 * kFileBytes, 64); }

  /// Of a block, from the steps' and third bits' words and the scales' bytes: `stride` bytes lie between one
  /// word and the next.
  struct Reader {
    const std::byte *steps, *third, *scales;
    std::int64_t stride;

    int byte(const std::byte* words, int i) const { return load_u8(words + i / 4 * stride + i % 4); }
    int step(int i) const {
      const int half = i / 128, quarter = i % 128 / 32, l = i % 32;
      int value = byte(steps, 32 * half + l) >> (2 * quarter) & 3;
      if constexpr (kThird) value |= (byte(third, l) >> (4 * half + quarter) & 1) << 2;
      return value;
    }
    int scale(int s) const {
      if constexpr (kMinima) return byte(scales, s) & 15;
      return (byte(scales, s % 8) >> (s / 8 * 4) & 15) | (byte(scales, 8 + s % 4) >> (s / 4 * 2) & 3) << 4;
    }
    float weight(int i, float d, float dmin) const {
      if constexpr (kMinima)
        return d * static_cast<float>(scale(i / 16)) * static_cast<float>(step(i)) -
               dmin * static_cast<float>(byte(scales, i / 16) >> 4);
      return d * static_cast<float>(scale(i / 16) - 32) * static_cast<float>(step(i) - 4);
    }
  };

  static void dequantize(const std::byte* row, std::int64_t n, float* out) {
    for (std::int64_t b = 0; b < n / kBlock; ++b) {
      const std::byte* block = row + b * kFileBytes;
      const Reader reader{block + kFileSteps, block, block + kFileScales, 4};
      const float d = load_half(block + kFileD), dmin = kMinima ? load_half(block + kFileD + 2) : 0;
      for (int i = 0; i < kBlock; ++i) out[b * kBlock + i] = reader.weight(i, d, dmin);
    }
  }

  static void pack(const std::byte* const* rows, std::int64_t k, std::byte* group) {
    for (std::int64_t b = 0; b < k / kBlock; ++b) {
      const std::int64_t at = b * kFileBytes;
      std::byte* const scales = group + scale_offset(k) + b * kScaleBytes;
      interleave_words(rows, at + kFileSteps, 16, 0, 0, group + b * kStepBytes);
      interleave_halves(rows, at + kFileD, group + d_offset(k) + b * 32);
      if constexpr (kMinima) {
        interleave_words(rows, at + kFileScales, 4, 0, 0, scales);
        interleave_halves(rows, at + kFileD + 2, group + dmin_offset(k) + b * 32);
      } else {
        interleave_words(rows, at, 8, 0, 0, group + third_offset(k) + b * kThirdBytes);
        std::byte words[4 * 64];  // the last of the steps, which are before the scales, and these
        interleave_words(rows, at + kFileScales - 4, 4, 0, 0, words);
        std::memcpy(scales, words + 64, kScaleBytes);
      }
    }
  }

  static void unpack(const std::byte* group, std::int64_t k, float* out) {
    for (std::int64_t b = 0; b < k / kBlock; ++b) {
      for (int r = 0; r < kGroupRows; ++r) {
        const Reader reader{group + b * kStepBytes + 4 * r, group + third_offset(k) + b * kThirdBytes + 4 * r,
                            group + scale_offset(k) + b * kScaleBytes + 4 * r, 4 * kGroupRows};
        const float d = load_half(group + d_offset(k) + b * 32 + 2 * r);
        const float dmin = kMinima ? load_half(group + dmin_offset(k) + b * 32 + 2 * r) : 0;
        for (int i = 0; i < kBlock; ++i) out[(b * kBlock + i) * kGroupRows + r] = reader.weight(i, d, dmin);
      }
    }
  }

  static WeightFormat format(TypeId type) {
    return {type, Activation::kQ8x256, dequantize, group_bytes, pack, unpack};
  }
};

}  // namespace deepwell
