// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/quant/packing.h"
#include "engine/tensor/own_types.h"

namespace deepwell {

/// GPTQ's and AWQ's 4-bit weights with zero points: weight = scale * (step - zero), zero of 0 to 16, which no
/// GGUF type can say exactly.
///
/// Packed planes of a group (B = k/32 blocks):
///   steps     (B, 4 words, 16 rows) words of 4 bytes, as legacy.h has them
///   scales    (B, 16 rows) halves
///   zeros     (B, 16 rows) bytes
struct I4Zero {
  static constexpr int kBlock = 32;
  static constexpr std::int64_t kFileBytes = 19;  // half scale, zero, 16 bytes of steps
  static constexpr std::int64_t kStepBytes = 256;

  static std::int64_t scale_offset(std::int64_t k) { return k / kBlock * kStepBytes; }
  static std::int64_t zero_offset(std::int64_t k) { return k / kBlock * (kStepBytes + 32); }
  static std::int64_t group_bytes(std::int64_t k) { return round_up(k / kBlock * (kStepBytes + 48), 64); }
};

}  // namespace deepwell
