// SPDX-License-Identifier: Apache-2.0
// Q2_K: 16 sub-blocks of 16, weight = d * scale[s] * step - dmin * min[s], 2-bit steps, 4-bit scales and
// minima. Block: 16 bytes (scale low, minimum high), 64 of steps, d, dmin. Half h (128 weights) has its steps
// in bytes 32h..+31, its sub-blocks 2j and 2j+1 at bits 2j of the first and the last 16 of them.
#include "engine/quant/raw_rows.h"

namespace deepwell {
namespace {

struct Codec {
  static constexpr TypeId kType = TypeId::kQ2_K;
  static constexpr std::int64_t kBytes = 84;
  static constexpr Wide kWide = Wide::kRuns16Minima;

  template <class Sink>
  static void block(const std::byte* bytes, Sink sink) {
    const float d = load_half(bytes + 80);
    const float dmin = load_half(bytes + 82);
    for (int s = 0; s < 16; ++s) {
      const std::byte* steps = bytes + 16 + s / 8 * 32 + s % 2 * 16;
      const int shift = s % 8 / 2 * 2;
      const int both = load_u8(bytes + s);
      sink.begin(d * static_cast<float>(both & 15), dmin * static_cast<float>(both >> 4));
      for (int i = 0; i < 16; i += 4) sink.steps(load_as<std::uint32_t>(steps + i) >> shift & 0x03030303U, 0);
    }
  }
};

}  // namespace

WeightFormat weight_format_q2_k() { return RawRows<Codec>::format(); }

}  // namespace deepwell
