// SPDX-License-Identifier: Apache-2.0
// Q6_K: see q6k_layout.h.
#include "engine/quant/q6k_layout.h"

namespace deepwell {
namespace {

using L = Q6KLayout;

float weight(float d, int scale, int step) {
  return d * static_cast<float>(scale) * static_cast<float>(step - L::kOffset);
}

void dequantize(const std::byte* row, std::int64_t n, float* out) {
  for (std::int64_t b = 0; b < n / L::kBlock; ++b) {
    const std::byte* block = row + b * L::kFileBytes;
    const float d = load_half(block + 208);
    for (int i = 0; i < L::kBlock; ++i) {
      const int half = i / 128, quarter = i % 128 / 32, l = i % 32;
      const int low = load_u8(block + 64 * half + 32 * (quarter % 2) + l) >> (quarter / 2 * 4) & 15;
      const int high = load_u8(block + 128 + 32 * half + l) >> (2 * quarter) & 3;
      out[b * L::kBlock + i] = weight(d, load_i8(block + 192 + i / 16), low | high << 4);
    }
  }
}

void pack(const std::byte* const* rows, std::int64_t k, std::byte* group) {
  for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
    const std::int64_t at = b * L::kFileBytes;
    interleave_words(rows, at, 32, 0, 0, group + b * L::kStepBytes);
    interleave_words(rows, at + 128, 16, 0, 0, group + L::high_offset(k) + b * L::kHighBytes);
    interleave_bytes(rows, at + 192, 16, group + L::scale_offset(k) + b * 256);
    interleave_halves(rows, at + 208, group + L::d_offset(k) + b * 32);
  }
}

void unpack(const std::byte* group, std::int64_t k, float* out) {
  for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
    for (int r = 0; r < kGroupRows; ++r) {
      const float d = load_half(group + L::d_offset(k) + b * 32 + 2 * r);
      for (int i = 0; i < L::kBlock; ++i) {
        const int half = i / 128, quarter = i % 128 / 32, l = i % 32;
        const std::int64_t word = (half * 16 + quarter % 2 * 8 + l / 4) * kGroupRows + r;
        const std::int64_t high_word = (half * 8 + l / 4) * kGroupRows + r;
        const int low = load_u8(group + b * L::kStepBytes + 4 * word + l % 4) >> (quarter / 2 * 4) & 15;
        const int high =
            load_u8(group + L::high_offset(k) + b * L::kHighBytes + 4 * high_word + l % 4) >> (2 * quarter) &
            3;
        const int scale = load_i8(group + L::scale_offset(k) + b * 256 + i / 16 * kGroupRows + r);
        out[(b * L::kBlock + i) * kGroupRows + r] = weight(d, scale, low | high << 4);
      }
    }
  }
}

}  // namespace

WeightFormat weight_format_q6_k() {
  return {TypeId::kQ6_K, Activation::kQ8x256, dequantize, L::group_bytes, pack, unpack};
}

}  // namespace deepwell
