// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "engine/quant/packing.h"

namespace deepwell {

/// Types whose 4-bit codes name entries of a table of 16 integers: weight = scale of its run * table[code].
/// `Codec` has kType, kBlock weights a file block, kRun weights a scale, kHeadBytes before the codes of a
/// block, kHeadUnit, kTable and scale(head, run). In a run of the file, the low nibbles of its bytes come
/// first, then the high ones.
///
/// Packed planes of a group (R = k/kRun runs, B = k/kBlock blocks, U = kHeadBytes/kHeadUnit):
///   codes    (R, kRun/8 words, 16 rows) words of 4 bytes: code k = 4w+i in the low nibble of byte i of word
///            w, k = kRun/2+4w+i in the high one: for runs of 32, the steps of legacy.h
///   heads    (B, U, 16 rows) units of kHeadUnit bytes
template <class Codec>
struct Nibbles {
  static constexpr int kBlock = Codec::kBlock;
  static constexpr int kRun = Codec::kRun;
  static constexpr int kRuns = kBlock / kRun;  // of a block
  static constexpr int kUnits = Codec::kHeadBytes / Codec::kHeadUnit;
  static constexpr std::int64_t kFileBytes = Codec::kHeadBytes + kBlock / 2;
  static constexpr std::int64_t kRunBytes = kRun / 2 * kGroupRows;  // of a packed run of 16 rows
  static constexpr std::int64_t kHeads = Codec::kHeadBytes * kGroupRows;

  static std::int64_t head_offset(std::int64_t k) { return k / kRun * kRunBytes; }
  static std::int64_t group_bytes(std::int64_t k) {
    return round_up(head_offset(k) + k / kBlock * kHeads, 64);
  }
  static float value(float scale, int code) {
    return scale * static_cast<float>(Codec::kTable[static_cast<std::size_t>(code)]);
  }

  static void dequantize(const std::byte* row, std::int64_t n, float* out) {
    for (std::int64_t b = 0; b < n / kBlock; ++b, row += kFileBytes) {
      const std::byte* codes = row + Codec::kHeadBytes;
      for (int run = 0; run < kRuns; ++run, codes += kRun / 2, out += kRun) {
        const float scale = Codec::scale(row, run);
        for (int i = 0; i < kRun / 2; ++i) {
          const int pair = load_u8(codes + i);
          out[i] = value(scale, pair & 15);
          out[kRun / 2 + i] = value(scale, pair >> 4);
        }
      }
    }
  }

  static void pack(const std::byte* const* rows, std::int64_t k, std::byte* group) {
    for (std::int64_t b = 0; b < k / kBlock; ++b) {
      const std::int64_t at = b * kFileBytes;
      interleave_words(rows, at + Codec::kHeadBytes, kBlock / 8, 0, 0, group + b * kRuns * kRunBytes);
      std::byte* heads = group + head_offset(k) + b * kHeads;
      for (int u = 0; u < kUnits; ++u) {
        for (int r = 0; r < kGroupRows; ++r) {
          std::byte* to = heads + (u * kGroupRows + r) * Codec::kHeadUnit;
          if (rows[r] == nullptr)
            std::memset(to, 0, Codec::kHeadUnit);
          else
            std::memcpy(to, rows[r] + at + u * Codec::kHeadUnit, Codec::kHeadUnit);
        }
      }
    }
  }

  static void unpack(const std::byte* group, std::int64_t k, float* out) {
    const std::byte* codes = group;
    for (std::int64_t b = 0; b < k / kBlock; ++b) {
      float scales[kRuns][kGroupRows];
      const std::byte* heads = group + head_offset(k) + b * kHeads;
      for (int r = 0; r < kGroupRows; ++r) {
        std::byte head[Codec::kHeadBytes];
        for (int u = 0; u < kUnits; ++u)
          std::memcpy(head + u * Codec::kHeadUnit, heads + (u * kGroupRows + r) * Codec::kHeadUnit,
                      Codec::kHeadUnit);
        for (int run = 0; run < kRuns; ++run) scales[run][r] = Codec::scale(head, run);
      }
      for (int run = 0; run < kRuns; ++run, codes += kRunBytes, out += kRun * kGroupRows) {
        for (int i = 0; i < kRun / 2; ++i) {
          float* low = out + i * kGroupRows;
          float* high = low + kRun / 2 * kGroupRows;
          for (int r = 0; r < kGroupRows; ++r) {
            const int pair = load_u8(codes + 4 * (i / 4 * kGroupRows + r) + i % 4);
            low[r] = value(scales[run][r], pair & 15);
            high[r] = value(scales[run][r], pair >> 4);
          }
        }
      }
    }
  }

  static WeightFormat format(Activation activation) {
    return {Codec::kType, activation, dequantize, group_bytes, pack, unpack};
  }
};

using CodeTable = std::array<std::int8_t, 16>;
/// IQ4_NL's 16 levels, and E2M1 (sign, 2 exponent bits, 1 of mantissa) doubled so that it is whole.
inline constexpr CodeTable kIq4Levels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                         1,    13,   25,  38,  53,  69,  89,  113};
inline constexpr CodeTable kE2M1Doubled = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

struct Iq4NlCodec {
  static constexpr TypeId kType = TypeId::kIQ4_NL;
  static constexpr int kBlock = 32, kRun = 32, kHeadBytes = 2, kHeadUnit = 2;
  static constexpr CodeTable kTable = kIq4Levels;
  static float scale(const std::byte* head, int) { return load_half(head); }
};

/// Head: d, 8 times the upper 2 bits of a scale, 8 times the lower 4.
struct Iq4XsCodec {
  static constexpr TypeId kType = TypeId::kIQ4_XS;
  static constexpr int kBlock = 256, kRun = 32, kHeadBytes = 8, kHeadUnit = 2;
  static constexpr CodeTable kTable = kIq4Levels;
  static float scale(const std::byte* head, int run) {
    const int low = load_u8(head + 4 + run / 2) >> (run % 2 * 4) & 15;
    const int high = load_as<std::uint16_t>(head + 2) >> (2 * run) & 3;
    return load_half(head) * static_cast<float>((low | high << 4) - 32);
  }
};

/// Head: E8M0, a power of two. Half of it, 2^(e - 128), goes with the doubled table.
struct Mxfp4Codec {
  static constexpr TypeId kType = TypeId::kMXFP4;
  static constexpr int kBlock = 32, kRun = 32, kHeadBytes = 1, kHeadUnit = 1;
  static constexpr CodeTable kTable = kE2M1Doubled;
  static float scale(const std::byte* head, int) {
    const auto e = static_cast<std::uint32_t>(load_u8(head));
    return std::bit_cast<float>(e < 2 ? 0x00200000U << e : (e - 1) << 23);  // the first two are subnormal
  }
};

/// Head: four unsigned E4M3 (bias 7; the top bit is not read, 0x7F counts as zero), each halved for the
/// doubled table.
struct Nvfp4Codec {
  static constexpr TypeId kType = TypeId::kNVFP4;
  static constexpr int kBlock = 64, kRun = 16, kHeadBytes = 4, kHeadUnit = 4;
  static constexpr CodeTable kTable = kE2M1Doubled;
  static float scale(const std::byte* head, int run) {
    const int code = load_u8(head + run);
    if (code == 0x7f) return 0.0F;
    const int exponent = code >> 3 & 15, mantissa = code & 7;
    if (exponent == 0) return static_cast<float>(mantissa) * 0x1p-10F;
    return std::bit_cast<float>(static_cast<std::uint32_t>(exponent + 119) << 23) *
           (1.0F + static_cast<float>(mantissa) / 8.0F);
  }
};

}  // namespace deepwell
