// SPDX-License-Identifier: Apache-2.0
// IQ1_S: d, 32 low bytes of 11-bit indices of 8 levels, then for each 32 weights a halfword: 4 times 3 upper
// index bits, a 3-bit scale, the direction of the shift. weight = d * (1 + 2 * scale) * (level +- 1/8).
#include "engine/quant/iq1_codebook.h"
#include "engine/quant/raw_rows.h"

namespace deepwell {
namespace {

struct Codec {
  static constexpr TypeId kType = TypeId::kIQ1_S;
  static constexpr std::int64_t kBytes = 50;
  static constexpr Wide kWide = Wide::kRuns32;

  template <class Sink>
  static void block(const std::byte* bytes, Sink sink) {
    const float d = load_half(bytes);
    for (int s = 0; s < 8; ++s) {
      const int word = load_as<std::uint16_t>(bytes + 34 + 2 * s);
      sink.begin_shifted(d * static_cast<float>(1 + 2 * (word >> 12 & 7)));
      for (int i = 0; i < 4; ++i)
        sink.shifted_levels(
            kIq1Book[static_cast<std::size_t>(load_u8(bytes + 2 + 4 * s + i) | (word >> (3 * i) & 7) << 8)],
            word >> 15 != 0);
    }
  }
};

}  // namespace

WeightFormat weight_format_iq1_s() { return RawRows<Codec>::format(); }

}  // namespace deepwell
