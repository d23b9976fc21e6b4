// SPDX-License-Identifier: Apache-2.0
// IQ2_XXS: d, then for each 32 weights 4 indices of 8 levels and a word: 4 times 7 signs, a 4-bit scale.
// weight = d * (scale + 1/2) / 4 * level.
#include "engine/quant/iq2_codebooks.h"
#include "engine/quant/raw_rows.h"

namespace deepwell {
namespace {

struct Codec {
  static constexpr TypeId kType = TypeId::kIQ2_XXS;
  static constexpr std::int64_t kBytes = 66;
  static constexpr Wide kWide = Wide::kRuns32;

  template <class Sink>
  static void block(const std::byte* bytes, Sink sink) {
    const float d = load_half(bytes);
    for (int s = 0; s < 8; ++s) {
      const std::byte* indices = bytes + 2 + 8 * s;
      const auto word = load_as<std::uint32_t>(indices + 4);
      sink.begin(d * (0.5F + static_cast<float>(word >> 28)) * 0.25F);
      for (int i = 0; i < 4; ++i)
        sink.signed_levels(kIq2XxsBook[std::to_integer<std::size_t>(indices[i])],
                           kEvenSigns[word >> (7 * i) & 127U]);
    }
  }
};

}  // namespace

WeightFormat weight_format_iq2_xxs() { return RawRows<Codec>::format(); }

}  // namespace deepwell
