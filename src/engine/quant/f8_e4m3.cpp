// SPDX-License-Identifier: Apache-2.0
#include "engine/quant/f8_e4m3.h"

#include "engine/tensor/own_types.h"

namespace deepwell {
namespace {

float value_of(const std::byte* code) { return e4m3_to_float(std::to_integer<std::uint8_t>(*code)); }

void dequantize(const std::byte* row, std::int64_t n, float* out) {
  for (std::int64_t b = 0; b < n / F8E4M3::kBlock; ++b, row += F8E4M3::kFileBytes) {
    const auto scale = load_as<float>(row);
    for (int i = 0; i < F8E4M3::kBlock; ++i) *out++ = scale * value_of(row + 4 + i);
  }
}

void pack(const std::byte* const* rows, std::int64_t k, std::byte* group) {
  for (std::int64_t b = 0; b < k / F8E4M3::kBlock; ++b) {
    for (std::int64_t r = 0; r < kGroupRows; ++r) {
      const std::byte* const block = rows[r] == nullptr ? nullptr : rows[r] + b * F8E4M3::kFileBytes;
      store_as(group + F8E4M3::scale_offset(k) + (b * kGroupRows + r) * 4,
               block == nullptr ? 0.0F : load_as<float>(block));
      std::byte* const codes = group + b * F8E4M3::kBlock * kGroupRows;
      for (std::int64_t i = 0; i < F8E4M3::kBlock; i += 2)  // two of k lie together
        store_as(codes + F8E4M3::code_offset(i, r),
                 block == nullptr ? std::uint16_t{0} : load_as<std::uint16_t>(block + 4 + i));
    }
  }
}

void unpack(const std::byte* group, std::int64_t k, float* out) {
  for (std::int64_t i = 0; i < k; ++i) {
    const std::byte* const scales = group + F8E4M3::scale_offset(k) + i / F8E4M3::kBlock * kGroupRows * 4;
    for (std::int64_t r = 0; r < kGroupRows; ++r)
      *out++ = load_as<float>(scales + 4 * r) * value_of(group + F8E4M3::code_offset(i, r));
  }
}

}  // namespace

WeightFormat weight_format_f8_e4m3() {
  return {kF8_E4M3, Activation::kBf16, dequantize, F8E4M3::group_bytes, pack, unpack};
}

}  // namespace deepwell
