// SPDX-License-Identifier: Apache-2.0
// Q3_K: 16 sub-blocks of 16, weight = d * (scale[s] - 32) * (step - 4), 3-bit steps, 6-bit scales. Block: 32
// bytes of third bits (bit 4h+j of byte 16g+i), 64 of the lower two as in Q2_K, 12 of scales, d.
#include "engine/quant/raw_rows.h"

namespace deepwell {
namespace {

struct Codec {
  static constexpr TypeId kType = TypeId::kQ3_K;
  static constexpr std::int64_t kBytes = 110;
  static constexpr Wide kWide = Wide::kRuns16;

  static int scale(const std::byte* bytes, int s) {
    const int low = load_u8(bytes + s % 8) >> (s / 8 * 4) & 15;
    const int high = load_u8(bytes + 8 + s % 4) >> (s / 4 * 2) & 3;
    return (low | high << 4) - 32;
  }
  template <class Sink>
  static void block(const std::byte* bytes, Sink sink) {
    const float d = load_half(bytes + 108);
    for (int s = 0; s < 16; ++s) {
      const std::byte* high = bytes + s % 2 * 16;
      const std::byte* low = bytes + 32 + s / 8 * 32 + s % 2 * 16;
      const int shift = s % 8 / 2 * 2;
      const int bit = s / 2;  // 4h + j
      sink.begin(d * static_cast<float>(scale(bytes + 96, s)));
      for (int i = 0; i < 16; i += 4)
        sink.steps((load_as<std::uint32_t>(low + i) >> shift & 0x03030303U) |
                       (load_as<std::uint32_t>(high + i) >> bit & 0x01010101U) << 2,
                   4);
    }
  }
};

}  // namespace

WeightFormat weight_format_q3_k() { return RawRows<Codec>::format(); }

}  // namespace deepwell
