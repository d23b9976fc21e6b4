// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <random>
#include <vector>

#include "base/half.h"
#include "engine/quant/weight_format.h"
#include "engine/tensor/own_types.h"

namespace deepwell {

/// Rows of random, finite file blocks of a type: every bit pattern of steps and sub-scales, halves in (0, 1).
inline std::vector<std::byte> random_rows(TypeId type, std::int64_t rows, std::int64_t k, unsigned seed) {
  const TypeInfo& info = type_info(type);
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> scale(0.01F, 1.0F);
  std::normal_distribution<float> normal;
  const std::int64_t blocks = rows * k / info.block_elements;
  std::vector<std::byte> bytes(static_cast<std::size_t>(blocks * info.block_bytes));
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() & 0xffU);
  const auto put_half = [&](std::int64_t at) {
    const std::uint16_t half = float_to_half(scale(random));
    std::memcpy(bytes.data() + at, &half, 2);
  };
  for (std::int64_t b = 0; b < blocks; ++b) {
    const std::int64_t at = b * info.block_bytes;
    if (type == kF8_E4M3) {
      const float value = scale(random);
      std::memcpy(bytes.data() + at, &value, 4);
      for (std::int64_t i = at + 4; i < at + info.block_bytes; ++i)
        if ((bytes[static_cast<std::size_t>(i)] & std::byte{0x7f}) == std::byte{0x7f})  // NaN
          bytes[static_cast<std::size_t>(i)] = std::byte{0x7e};
      continue;
    }
    switch (type) {
      case TypeId::kF32: {
        const float value = normal(random);
        std::memcpy(bytes.data() + at, &value, 4);
        break;
      }
      case TypeId::kF16: {
        const std::uint16_t value = float_to_half(normal(random));
        std::memcpy(bytes.data() + at, &value, 2);
        break;
      }
      case TypeId::kBF16: {
        const std::uint16_t value = float_to_bfloat(normal(random));
        std::memcpy(bytes.data() + at, &value, 2);
        break;
      }
      case TypeId::kQ6_K:
        put_half(at + 208);
        break;
      case TypeId::kQ2_K:
        put_half(at + 80);
        put_half(at + 82);
        break;
      case TypeId::kQ3_K:
        put_half(at + 108);
        break;
      case TypeId::kIQ1_M:  // d in pieces: its top two nibbles make it 2^-7 and a little
        for (int i = 0; i < 2; ++i) {
          std::byte& piece = bytes[static_cast<std::size_t>(at + 53 + 2 * i)];
          piece = (piece & std::byte{15}) | static_cast<std::byte>(i == 0 ? 0x00 : 0x20);
        }
        break;
      case TypeId::kMXFP4:
        bytes[static_cast<std::size_t>(at)] = static_cast<std::byte>(120 + random() % 8);
        break;
      case TypeId::kNVFP4:  // every byte is a finite scale
        break;
      case TypeId::kQ4_1:
      case TypeId::kQ5_1:
      case TypeId::kQ4_K:
      case TypeId::kQ5_K:
        put_half(at + 2);
        [[fallthrough]];
      default:
        put_half(at);
    }
  }
  return bytes;
}

/// The rows packed into groups.
inline std::vector<std::byte> pack_rows(const WeightFormat& format, const std::vector<std::byte>& file,
                                        std::int64_t rows, std::int64_t k) {
  const TypeInfo& info = type_info(format.type);
  const std::int64_t row_bytes = k / info.block_elements * info.block_bytes;
  const std::int64_t groups = (rows + kGroupRows - 1) / kGroupRows;
  std::vector<std::byte> packed(static_cast<std::size_t>(groups * format.group_bytes(k)));
  for (std::int64_t g = 0; g < groups; ++g) {
    const std::byte* pointers[kGroupRows];
    for (std::int64_t r = 0; r < kGroupRows; ++r)
      pointers[r] = g * kGroupRows + r < rows ? file.data() + (g * kGroupRows + r) * row_bytes : nullptr;
    format.pack(pointers, k, packed.data() + g * format.group_bytes(k));
  }
  return packed;
}

inline std::vector<float> random_floats(std::int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) value = normal(random);
  return values;
}

}  // namespace deepwell
