// SPDX-License-Identifier: Apache-2.0
#include "engine/quant/i4_zero.h"

namespace deepwell {
namespace {

void dequantize(const std::byte* row, std::int64_t n, float* out) {
  for (std::int64_t b = 0; b < n / I4Zero::kBlock; ++b, row += I4Zero::kFileBytes, out += I4Zero::kBlock) {
    const float scale = load_half(row);
    const int zero = load_u8(row + 2);
    for (int i = 0; i < 16; ++i) {
      const int pair = load_u8(row + 3 + i);
      out[i] = scale * static_cast<float>((pair & 15) - zero);
      out[16 + i] = scale * static_cast<float>((pair >> 4) - zero);
    }
  }
}

void pack(const std::byte* const* rows, std::int64_t k, std::byte* group) {
  for (std::int64_t b = 0; b < k / I4Zero::kBlock; ++b) {
    const std::int64_t at = b * I4Zero::kFileBytes;
    interleave_words(rows, at + 3, 4, 0, 0, group + b * I4Zero::kStepBytes);
    interleave_halves(rows, at, group + I4Zero::scale_offset(k) + b * 32);
    interleave_bytes(rows, at + 2, 1, group + I4Zero::zero_offset(k) + b * kGroupRows);
  }
}

void unpack(const std::byte* group, std::int64_t k, float* out) {
  for (std::int64_t b = 0; b < k / I4Zero::kBlock; ++b, out += I4Zero::kBlock * kGroupRows) {
    const std::byte* const steps = group + b * I4Zero::kStepBytes;
    for (int r = 0; r < kGroupRows; ++r) {
      const float scale = load_half(group + I4Zero::scale_offset(k) + b * 32 + 2 * r);
      const int zero = load_u8(group + I4Zero::zero_offset(k) + b * kGroupRows + r);
      for (int i = 0; i < 16; ++i) {
        const int pair = load_u8(steps + 4 * (i / 4 * kGroupRows + r) + i % 4);
        out[i * kGroupRows + r] = scale * static_cast<float>((pair & 15) - zero);
        out[(16 + i) * kGroupRows + r] = scale * static_cast<float>((pair >> 4) - zero);
      }
    }
  }
}

}  // namespace

WeightFormat weight_format_i4_zero() {
  return {kI4_ZERO, Activation::kQ8x32, dequantize, I4Zero::group_bytes, pack, unpack};
}

}  // namespace deepwell
