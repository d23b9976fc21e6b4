// SPDX-License-Identifier: Apache-2.0
// IQ1_M: 32 low bytes of 11-bit indices of 8 levels, 32 nibbles of 3 upper index bits and the direction of
// the shift, 4 halfwords of 4 times a 3-bit scale (of 16 weights) and a nibble of d, the lowest first. weight
// = d * (1 + 2 * scale) * (level +- 1/8).
#include "engine/quant/iq1_codebook.h"
#include "engine/quant/raw_rows.h"

namespace deepwell {
namespace {

struct Codec {
  static constexpr TypeId kType = TypeId::kIQ1_M;
  static constexpr std::int64_t kBytes = 56;
  static constexpr Wide kWide = Wide::kRuns16;

  template <class Sink>
  static void block(const std::byte* bytes, Sink sink) {
    unsigned words[4], half = 0;
    for (unsigned w = 0; w < 4; ++w) {
      words[w] = load_as<std::uint16_t>(bytes + 48 + 2 * w);
      half |= words[w] >> 12 << (4 * w);
    }
    const float d = half_to_float(static_cast<std::uint16_t>(half));
    for (unsigned s = 0; s < 16; ++s) {
      sink.begin_shifted(d * static_cast<float>(1 + 2 * (words[s / 4] >> (s % 4 * 3) & 7U)));
      const int high = load_u8(bytes + 32 + s);
      const auto levels = [&](unsigned i, int upper) -> auto& {
        return kIq1Book[static_cast<std::size_t>(load_u8(bytes + 2 * s + i) | (upper & 7) << 8)];
      };
      sink.shifted_levels(levels(0, high), (high & 8) != 0);
      sink.shifted_levels(levels(1, high >> 4), (high & 128) != 0);
    }
  }
};

}  // namespace

WeightFormat weight_format_iq1_m() { return RawRows<Codec>::format(); }

}  // namespace deepwell
