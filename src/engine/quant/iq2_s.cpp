// SPDX-License-Identifier: Apache-2.0
// IQ2_S: d, 32 low bytes of 10-bit indices of 8 levels, 32 bytes of signs, 8 bytes of upper index bits, 16
// 4-bit scales of 16 weights. weight = d * (scale + 1/2) / 4 * level.
#include "engine/quant/iq2_codebooks.h"
#include "engine/quant/raw_rows.h"

namespace deepwell {
namespace {

struct Codec {
  static constexpr TypeId kType = TypeId::kIQ2_S;
  static constexpr std::int64_t kBytes = 82;
  static constexpr Wide kWide = Wide::kRuns16;

  template <class Sink>
  static void block(const std::byte* bytes, Sink sink) {
    const float d = load_half(bytes);
    for (int s = 0; s < 16; ++s) {
      const int step = load_u8(bytes + 74 + s / 2) >> (s % 2 * 4) & 15;
      sink.begin(d * (0.5F + static_cast<float>(step)) * 0.25F);
      for (int i = 2 * s; i < 2 * s + 2; ++i) {
        const int high = load_u8(bytes + 66 + i / 4) >> (i % 4 * 2) & 3;
        sink.signed_levels(kIq2SBook[static_cast<std::size_t>(load_u8(bytes + 2 + i) | high << 8)],
                           std::to_integer<unsigned>(bytes[34 + i]));
      }
    }
  }
};

}  // namespace

WeightFormat weight_format_iq2_s() { return RawRows<Codec>::format(); }

}  // namespace deepwell
