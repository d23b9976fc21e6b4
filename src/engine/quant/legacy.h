// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/quant/packing.h"

namespace deepwell {

/// The block-of-32 types: weight = scale * (step - kOffset) [+ minimum], steps of 4, 5 or 8 bits.
///
/// Packed planes of a group (B = k/32 blocks):
///   steps     4, 5 bits: (B, 4 words, 16 rows) words of 4 bytes: step k = 4w+i in the low nibble of byte i
///             of word w, k = 16+4w+i in the high one. 8 bits: (B, 8 words, 16 rows), byte = step + 128.
///   high      5 bits only: (B, 16 rows) words: bit w of byte i is the fifth bit of step 4w+i
///   scales    (B, 16 rows) halves
///   minima    (B, 16 rows) halves, types with a minimum only
template <int kStepBits, bool kHasMinimum>
struct Legacy {
  static constexpr int kBits = kStepBits;
  static constexpr bool kMinimum = kHasMinimum;
  static constexpr int kOffset = kHasMinimum ? 0 : 1 << (kBits - 1);
  static constexpr int kBlock = 32;
  static constexpr std::int64_t kStepBytes = kBits == 8 ? 512 : 256;  // of a packed block of 16 rows
  static constexpr std::int64_t kHighBytes = kBits == 5 ? 64 : 0;
  static constexpr std::int64_t kHeadBytes = kMinimum ? 4 : 2;  // scale and minimum in a file block
  static constexpr std::int64_t kFileBytes = kHeadBytes + (kBits == 5 ? 4 : 0) + (kBits == 8 ? 32 : 16);

  static std::int64_t high_offset(std::int64_t k) { return k / kBlock * kStepBytes; }
  static std::int64_t scale_offset(std::int64_t k) { return k / kBlock * (kStepBytes + kHighBytes); }
  static std::int64_t minimum_offset(std::int64_t k) { return k / kBlock * (kStepBytes + kHighBytes + 32); }
  static std::int64_t group_bytes(std::int64_t k) {
    return round_up(k / kBlock * (kStepBytes + kHighBytes + 32 + (kMinimum ? 32 : 0)), 64);
  }

  static float weight(float scale, int step, float minimum) {
    if constexpr (kMinimum)
      return scale * static_cast<float>(step) + minimum;
    else
      return scale * static_cast<float>(step - kOffset);
  }

  static void dequantize(const std::byte* row, std::int64_t n, float* out) {
    for (std::int64_t b = 0; b < n / kBlock; ++b) {
      const std::byte* block = row + b * kFileBytes;
      const float scale = load_half(block);
      const float minimum = kMinimum ? load_half(block + 2) : 0.0F;
      const std::byte* steps = block + kHeadBytes;
      std::uint32_t high = 0;
      if constexpr (kBits == 5) {
        high = load_as<std::uint32_t>(steps);
        steps += 4;
      }
      for (int i = 0; i < kBlock; ++i) {
        int step;
        if constexpr (kBits == 8) {
          step = load_i8(steps + i) + kOffset;
        } else {
          const int pair = load_u8(steps + i % 16);
          step = i < 16 ? pair & 15 : pair >> 4;
          if constexpr (kBits == 5) step |= static_cast<int>((high >> i) & 1U) << 4;
        }
        out[b * kBlock + i] = weight(scale, step, minimum);
      }
    }
  }

  /// The fifth bits of a block, bit i at bit 8 * (i % 4) + i / 4: the five bits of each position rotate by
  /// two, which four exchanges of two of them do.
  static std::uint32_t turn_high(std::uint32_t bits) {
    const auto exchange = [&](int distance, std::uint32_t mask) {
      const std::uint32_t both = (bits >> distance ^ bits) & mask;
      bits ^= both ^ both << distance;
    };
    exchange(14, 0x0000ccccU);
    exchange(7, 0x00aa00aaU);
    exchange(2, 0x0c0c0c0cU);
    exchange(1, 0x22222222U);
    return bits;
  }

  static void pack(const std::byte* const* rows, std::int64_t k, std::byte* group) {
    const std::int64_t blocks = k / kBlock;
    for (std::int64_t b = 0; b < blocks; ++b) {
      const std::int64_t at = b * kFileBytes;
      const std::int64_t steps_at = at + kHeadBytes + (kBits == 5 ? 4 : 0);
      std::byte* steps = group + b * kStepBytes;
      if constexpr (kBits == 8)
        interleave_words(rows, steps_at, 8, 0x80808080U, 0x80808080U, steps);
      else
        interleave_words(rows, steps_at, 4, 0, 0, steps);
      if constexpr (kBits == 5) {
        for (int r = 0; r < kGroupRows; ++r) {
          const std::uint32_t bits =
              rows[r] == nullptr ? 0 : load_as<std::uint32_t>(rows[r] + at + kHeadBytes);
          store_as(group + high_offset(k) + b * 64 + 4 * r, turn_high(bits));
        }
      }
      interleave_halves(rows, at, group + scale_offset(k) + b * 32);
      if constexpr (kMinimum) interleave_halves(rows, at + 2, group + minimum_offset(k) + b * 32);
    }
  }

  static void unpack(const std::byte* group, std::int64_t k, float* out) {
    for (std::int64_t b = 0; b < k / kBlock; ++b) {
      const std::byte* steps = group + b * kStepBytes;
      const std::byte* high = group + high_offset(k) + b * 64;
      for (int r = 0; r < kGroupRows; ++r) {
        const float scale = load_half(group + scale_offset(k) + b * 32 + 2 * r);
        const float minimum = kMinimum ? load_half(group + minimum_offset(k) + b * 32 + 2 * r) : 0.0F;
        for (int i = 0; i < kBlock; ++i) {
          int step;
          if constexpr (kBits == 8) {
            step = load_u8(steps + 4 * (i / 4 * kGroupRows + r) + i % 4);
          } else {
            const int pair = load_u8(steps + 4 * (i % 16 / 4 * kGroupRows + r) + i % 4);
            step = i < 16 ? pair & 15 : pair >> 4;
            if constexpr (kBits == 5) step |= (load_u8(high + 4 * r + i % 4) >> (i / 4) & 1) << 4;
          }
          out[(b * kBlock + i) * kGroupRows + r] = weight(scale, step, minimum);
        }
      }
    }
  }

  static WeightFormat format(TypeId type) {
    return {type, Activation::kQ8x32, dequantize, group_bytes, pack, unpack};
  }
};

using LegacyQ4_0 = Legacy<4, false>;
using LegacyQ4_1 = Legacy<4, true>;
using LegacyQ5_0 = Legacy<5, false>;
using LegacyQ5_1 = Legacy<5, true>;
using LegacyQ8_0 = Legacy<8, false>;

}  // namespace deepwell
