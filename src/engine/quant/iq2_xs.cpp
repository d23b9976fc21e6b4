// SPDX-License-Identifier: Apache-2.0
// IQ2_XS: d, 32 halfwords (a 9-bit index of 8 levels, 7 signs), 16 4-bit scales of 16 weights.
// weight = d * (scale + 1/2) / 4 * level.
#include "engine/quant/iq2_codebooks.h"
#include "engine/quant/raw_rows.h"

namespace deepwell {
namespace {

struct Codec {
  static constexpr TypeId kType = TypeId::kIQ2_XS;
  static constexpr std::int64_t kBytes = 74;
  static constexpr Wide kWide = Wide::kRuns16;

  template <class Sink>
  static void block(const std::byte* bytes, Sink sink) {
    const float d = load_half(bytes);
    for (int s = 0; s < 16; ++s) {
      const int step = load_u8(bytes + 66 + s / 2) >> (s % 2 * 4) & 15;
      sink.begin(d * (0.5F + static_cast<float>(step)) * 0.25F);
      for (int i = 0; i < 2; ++i) {
        const unsigned word = load_as<std::uint16_t>(bytes + 2 + 4 * s + 2 * i);
        sink.signed_levels(kIq2XsBook[word & 511U], kEvenSigns[word >> 9]);
      }
    }
  }
};

}  // namespace

WeightFormat weight_format_iq2_xs() { return RawRows<Codec>::format(); }

}  // namespace deepwell
