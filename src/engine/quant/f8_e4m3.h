// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/float8.h"
#include "engine/quant/packing.h"

namespace deepwell {

/// FP8 weights in runs of 128 along k, each under a float of its own: weight = scale * E4M3 code. In files of
/// FP8 checkpoints a scale belongs to 128 x 128 weights; here each row has it.
///
/// Packed planes of a group (B = k/128 runs):
///   codes    (k, 16 rows) bytes
///   scales   (B, 16 rows) floats
struct F8E4M3 {
  static constexpr int kBlock = 128;
  static constexpr std::int64_t kFileBytes = 4 + kBlock;

  static std::int64_t scale_offset(std::int64_t k) { return k * kGroupRows; }
  static std::int64_t group_bytes(std::int64_t k) {
    return k * kGroupRows + k / kBlock * kGroupRows * static_cast<std::int64_t>(sizeof(float));
  }
};

}  // namespace deepwell
