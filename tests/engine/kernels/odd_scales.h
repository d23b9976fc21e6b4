// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <limits>

#include "random_weights.h"

namespace deepwell {

inline constexpr std::size_t kOddScales = 9;

/// Gives a block of any type odd scale number `which` (of plain floats, an odd weight): infinities, NaN,
/// zeros, the smallest numbers and large ones, as far as the type's scales can be that.
inline void plant_odd_scale(TypeId type, std::size_t which, std::byte* block) {
  constexpr std::uint16_t kHalves[kOddScales] = {0x7c00, 0xfc00, 0x7e00, 0x0000, 0x8000,
                                                 0x0001, 0x03ff, 0x8001, 0x7bff};
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kFloats[kOddScales] = {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(),
                                         0,         -0.0F,      0x1p-149F,
                                         0x1p-127F, -0x1p-149F, 0x1p96F};
  constexpr std::uint8_t kE8M0[kOddScales] = {0, 1, 2, 3, 24, 64, 160, 192, 200};
  constexpr std::uint8_t kE4M3[kOddScales] = {0x7f, 0x00, 0x01, 0x07, 0x08, 0x78, 0x7e, 0x80, 0xff};
  const std::uint16_t half = kHalves[which];
  const auto put_half = [&](int at) { std::memcpy(block + at, &half, 2); };
  if (type == TypeId::kF32 || type == kF8_E4M3) {
    std::memcpy(block, &kFloats[which], 4);
    if (type == kF8_E4M3 && which == 2) {  // a code that is NaN, under a scale that is none
      const float one = 1;
      std::memcpy(block, &one, 4);
      block[4 + 77] = std::byte{0xff};
    }
    return;
  }
  switch (type) {
    case TypeId::kBF16: {
      const std::uint16_t bits = float_to_bfloat(kFloats[which]);
      std::memcpy(block, &bits, 2);
      return;
    }
    case TypeId::kMXFP4:
      block[0] = std::byte{kE8M0[which]};
      return;
    case TypeId::kNVFP4:
      for (std::size_t i = 0; i < 4; ++i) block[i] = std::byte{kE4M3[(which + i) % kOddScales]};
      return;
    case TypeId::kIQ1_M:  // a quarter of the half is in the upper four bits of each word of the scales
      for (int i = 0; i < 4; ++i) {
        std::byte& piece = block[49 + 2 * i];
        piece = (piece & std::byte{15}) | static_cast<std::byte>((half >> (4 * i) & 15) << 4);
      }
      return;
    case TypeId::kQ6_K:
      return put_half(208);
    case TypeId::kQ3_K:
      return put_half(108);
    case TypeId::kQ2_K:
      put_half(80);
      return put_half(82);
    case TypeId::kQ4_1:
    case TypeId::kQ5_1:
    case TypeId::kQ4_K:
    case TypeId::kQ5_K:
      put_half(2);
      [[fallthrough]];
    default:
      put_half(0);
  }
}

/// In every second row one block with an odd scale, another one in each; the rows between stay as they are.
inline void plant_odd_scales(TypeId type, std::int64_t rows, std::int64_t k, std::vector<std::byte>& file) {
  const TypeInfo& info = type_info(type);
  const std::int64_t blocks = k / info.block_elements;
  for (std::int64_t r = 0; r < rows; r += 2)
    plant_odd_scale(type, static_cast<std::size_t>(r / 2) % kOddScales,
                    file.data() + (r * blocks + r % blocks) * info.block_bytes);
}

}  // namespace deepwell
