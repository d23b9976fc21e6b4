// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/float8.h"
#include "engine/quant/packing.h"

namespace deepwell {

/// FP8 weights in runs of 128 along k, each under a float of its own: weight = scale * E4M3 code. In files of
/// FP8 checkpoints a scale belongs to 128 x 128 weights; here each row has it. A code is a bfloat16 exactly.
///
/// Packed planes of a group (B = k/128 runs):
///   codes    (k/4, 4 quarters, 2 pairs, 4 rows, 2 of k) bytes: with a byte put behind each, the first halves
///            of the quarters are the first two k of 16 rows, one row after another, the second halves the
///            next two
///   scales   (B, 16 rows) floats
struct F8E4M3 {
  static constexpr int kBlock = 128;
  static constexpr std::int64_t kFileBytes = 4 + kBlock;

  static std::int64_t code_offset(std::int64_t i, std::int64_t row) {
    return i / 4 * 4 * kGroupRows + row / 4 * 16 + i % 4 / 2 * 8 + row % 4 * 2 + i % 2;
  }

  static std::int64_t scale_offset(std::int64_t k) { return k * kGroupRows; }
  static std::int64_t group_bytes(std::int64_t k) {
    return k * kGroupRows + k / kBlock * kGroupRows * static_cast<std::int64_t>(sizeof(float));
  }
};

}  // namespace deepwell
