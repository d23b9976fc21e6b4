// SPDX-License-Identifier: Apache-2.0
// GPTQ's and AWQ's 4-bit weights with zero points: weight = scale * (step - zero), zero of 0 to 16, which no
// GGUF type can say exactly. Packed as the rows are: products go through floats.
#include "engine/quant/packing.h"
#include "engine/tensor/own_types.h"

namespace deepwell {
namespace {

constexpr std::int64_t kBlock = 32, kBytes = 20;

std::int64_t row_bytes(std::int64_t k) { return k / kBlock * kBytes; }
std::int64_t group_bytes(std::int64_t k) { return round_up(kGroupRows * row_bytes(k), 64); }

void dequantize(const std::byte* row, std::int64_t n, float* out) {
  for (std::int64_t b = 0; b < n / kBlock; ++b, row += kBytes, out += kBlock) {
    const float scale = load_half(row);
    const int zero = load_u8(row + 2);
    for (int i = 0; i < 16; ++i) {
      const int pair = load_u8(row + 4 + i);
      out[i] = scale * static_cast<float>((pair & 15) - zero);
      out[16 + i] = scale * static_cast<float>((pair >> 4) - zero);
    }
  }
}

void pack(const std::byte* const* rows, std::int64_t k, std::byte* group) {
  const auto size = static_cast<std::size_t>(row_bytes(k));
  for (int r = 0; r < kGroupRows; ++r) {
    if (rows[r] == nullptr)
      std::memset(group + r * row_bytes(k), 0, size);
    else
      std::memcpy(group + r * row_bytes(k), rows[r], size);
  }
}

void unpack(const std::byte* group, std::int64_t k, float* out) {
  float line[kBlock];
  for (std::int64_t b = 0; b < k / kBlock; ++b)
    for (int r = 0; r < kGroupRows; ++r) {
      dequantize(group + r * row_bytes(k) + b * kBytes, kBlock, line);
      for (std::int64_t i = 0; i < kBlock; ++i) out[(b * kBlock + i) * kGroupRows + r] = line[i];
    }
}

}  // namespace

WeightFormat weight_format_i4_zero() {
  return {kI4_ZERO, Activation::kF32, dequantize, group_bytes, pack, unpack};
}

}  // namespace deepwell
