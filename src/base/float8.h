// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <limits>

#include "base/half.h"

namespace deepwell {

/// E4M3 without infinities (sign, 4 bits of exponent with bias 7, 3 of mantissa): at most 448; all ones is
/// NaN. Its bits are those of a half with 8 more exponent bias, which is a factor of 2^8.
inline float e4m3_to_float(std::uint8_t code) {
  if ((code & 0x7fU) == 0x7f) return std::numeric_limits<float>::quiet_NaN();
  const auto half = static_cast<std::uint16_t>((code & 0x80U) << 8 | (code & 0x7fU) << 7);
  return half_to_float(half) * 256;
}

/// E8M0: 2^(code - 127); 255 is NaN.
inline float e8m0_to_float(std::uint8_t code) {
  if (code == 255) return std::numeric_limits<float>::quiet_NaN();
  return std::bit_cast<float>(code == 0 ? 0x00400000U : std::uint32_t{code} << 23);
}

}  // namespace deepwell
