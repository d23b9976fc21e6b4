// SPDX-License-Identifier: Apache-2.0
// IQ3_S: d, 64 low bytes of 9-bit indices of 4 levels, 8 bytes of upper index bits, 32 of signs, 8 4-bit
// scales of 32 weights. weight = d * (1 + 2 * scale) * level.
#include "engine/quant/iq3_codebooks.h"
#include "engine/quant/raw_rows.h"

namespace deepwell {
namespace {

struct Codec {
  static constexpr TypeId kType = TypeId::kIQ3_S;
  static constexpr std::int64_t kBytes = 110;
  static constexpr Wide kWide = Wide::kRuns32;

  template <class Sink>
  static void block(const std::byte* bytes, Sink sink) {
    const float d = load_half(bytes);
    for (int s = 0; s < 8; ++s) {
      const std::byte* low = bytes + 2 + 8 * s;
      const int high = load_u8(bytes + 66 + s);
      const int step = load_u8(bytes + 106 + s / 2) >> (s % 2 * 4) & 15;
      sink.begin(d * static_cast<float>(1 + 2 * step));
      for (int i = 0; i < 8; ++i) {
        const unsigned signs = std::to_integer<unsigned>(bytes[74 + 4 * s + i / 2]) >> (i % 2 * 4);
        sink.signed_levels(kIq3SBook[static_cast<std::size_t>(load_u8(low + i) | (high >> i & 1) << 8)],
                           signs);
      }
    }
  }
};

}  // namespace

WeightFormat weight_format_iq3_s() { return RawRows<Codec>::format(); }

}  // namespace deepwell
