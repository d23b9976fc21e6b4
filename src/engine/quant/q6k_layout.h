// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/quant/packing.h"

namespace deepwell {

/// Q6_K: blocks of 256 = 16 sub-blocks of 16; weight = d * scale[s] * (step - 32), 8-bit scales.
/// File block: 128 bytes of low nibbles, 64 of upper 2 bits, 16 scales, d. In half h (128 weights), quarter e
/// (32 weights) has its low nibbles in bytes 32*(e%2)..+31 of the half (low nibble for e < 2, else high) and
/// its upper bits at bit 2e of the half's 32 upper bytes.
///
/// Packed planes of a group (S = k/256):
///   steps    (S, 2 halves, 16 words, 16 rows) words, nibbles as in the file
///   high     (S, 2 halves, 8 words, 16 rows) words, bit pairs as in the file
///   scales   (S, 16 sub-blocks, 16 rows) int8
///   d        (S, 16 rows) halves
struct Q6KLayout {
  static constexpr int kBlock = 256;
  static constexpr int kOffset = 32;
  static constexpr std::int64_t kStepBytes = 2048;
  static constexpr std::int64_t kHighBytes = 1024;
  static constexpr std::int64_t kFileBytes = 210;

  static std::int64_t high_offset(std::int64_t k) { return k / kBlock * kStepBytes; }
  static std::int64_t scale_offset(std::int64_t k) { return k / kBlock * (kStepBytes + kHighBytes); }
  static std::int64_t d_offset(std::int64_t k) { return k / kBlock * (kStepBytes + kHighBytes + 256); }
  static std::int64_t group_bytes(std::int64_t k) {
    return round_up(k / kBlock * (kStepBytes + kHighBytes + 288), 64);
  }
};

}  // namespace deepwell
