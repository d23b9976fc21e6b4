// SPDX-License-Identifier: Apache-2.0
// IQ3_XXS: d, 64 indices of 4 levels, then for each 32 weights a word: 4 times 7 signs, a 4-bit scale.
// weight = d * (scale + 1/2) / 2 * level.
#include "engine/quant/iq3_codebooks.h"
#include "engine/quant/raw_rows.h"

namespace deepwell {
namespace {

struct Codec {
  static constexpr TypeId kType = TypeId::kIQ3_XXS;
  static constexpr std::int64_t kBytes = 98;
  static constexpr Wide kWide = Wide::kRuns32;

  template <class Sink>
  static void block(const std::byte* bytes, Sink sink) {
    const float d = load_half(bytes);
    for (int s = 0; s < 8; ++s) {
      const std::byte* indices = bytes + 2 + 8 * s;
      const auto word = load_as<std::uint32_t>(bytes + 66 + 4 * s);
      sink.begin(d * (0.5F + static_cast<float>(word >> 28)) * 0.5F);
      for (int i = 0; i < 4; ++i) {
        const unsigned signs = kEvenSigns[word >> (7 * i) & 127U];
        sink.signed_levels(kIq3XxsBook[std::to_integer<std::size_t>(indices[2 * i])], signs);
        sink.signed_levels(kIq3XxsBook[std::to_integer<std::size_t>(indices[2 * i + 1])], signs >> 4);
      }
    }
  }
};

}  // namespace

WeightFormat weight_format_iq3_xxs() { return RawRows<Codec>::format(); }

}  // namespace deepwell
