// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstring>

#include "engine/convert/fit_steps.h"
#include "engine/quant/kquant.h"

namespace deepwell {

/// Q4_K and Q5_K. Each sub-block's best scale and minimum, then their 6-bit codes under the block's two
/// halves; codes next to the nearest ones are tried, too, as rounding moves both at once.
template <int kBits>
struct KQuantizer {
  using Blocks = KQuant<kBits>;
  static constexpr int kSubs = 8, kLength = 32, kHighest = (1 << kBits) - 1;

  struct Codes {
    int scale = 0, minimum = 0;
  };

  static Codes best_codes(const float* x, const Fit& fit, float d, float dmin) {
    const float to_scale = inverse(d), to_minimum = inverse(dmin);
    const int scale = step_at(fit.scale * to_scale, 0, 63);
    Codes best;
    double least = INFINITY;
    for (int s = std::max(0, scale - 1); s <= std::min(63, scale + 1); ++s) {
      const int minimum = step_at(fit.minimum * to_minimum, 0, 63);
      for (int m = std::max(0, minimum - 1); m <= std::min(63, minimum + 1); ++m) {
        const double error =
            error_of(x, kLength, d * static_cast<float>(s), dmin * static_cast<float>(m), 0, kHighest);
        if (error < least) {
          least = error;
          best = {s, m};
        }
      }
    }
    return best;
  }

  static void store_codes(const std::array<Codes, kSubs>& codes, std::byte* scales) {
    std::memset(scales, 0, 12);
    for (std::size_t s = 0; s < 4; ++s) {
      const Codes &low = codes[s], &high = codes[s + 4];
      scales[s] = static_cast<std::byte>(low.scale | high.scale >> 4 << 6);
      scales[s + 4] = static_cast<std::byte>(low.minimum | high.minimum >> 4 << 6);
      scales[s + 8] = static_cast<std::byte>((high.scale & 15) | (high.minimum & 15) << 4);
    }
  }

  static void block(const float* x, std::byte* out) {
    std::array<Fit, kSubs> fits;
    float most_scale = 0, most_minimum = 0;
    for (std::size_t s = 0; s < kSubs; ++s) {
      fits[s] = fit_with_minimum(x + s * kLength, kLength, kHighest);
      most_scale = std::max(most_scale, fits[s].scale);
      most_minimum = std::max(most_minimum, fits[s].minimum);
    }
    const std::uint16_t d_half = float_to_half(std::min(most_scale / 63, 65504.0F)),
                        dmin_half = float_to_half(std::min(most_minimum / 63, 65504.0F));
    const float d = half_to_float(d_half), dmin = half_to_float(dmin_half);
    std::array<Codes, kSubs> codes;
    std::memset(out, 0, static_cast<std::size_t>(Blocks::kFileBytes));
    std::byte* const high = out + 16;
    std::byte* const steps = out + (kBits == 5 ? 48 : 16);
    for (std::size_t s = 0; s < kSubs; ++s) {
      const float* from = x + s * kLength;
      codes[s] = best_codes(from, fits[s], d, dmin);
      const float back = inverse(d * static_cast<float>(codes[s].scale));
      const float minimum = dmin * static_cast<float>(codes[s].minimum);
      for (std::size_t i = 0; i < kLength; ++i) {
        const int step = step_at((from[i] + minimum) * back, 0, kHighest);
        steps[s / 2 * 32 + i] |= static_cast<std::byte>((step & 15) << (s % 2 * 4));
        if constexpr (kBits == 5) high[i] |= static_cast<std::byte>(step >> 4 << s);
      }
    }
    store_as(out, d_half);
    store_as(out + 2, dmin_half);
    store_codes(codes, out + 4);
  }

  static void quantize(const float* row, std::int64_t n, std::byte* out) {
    float x[256];
    for (std::int64_t b = 0; b < n / 256; ++b) {
      for (std::int64_t i = 0; i < 256; ++i) x[i] = finite(row[b * 256 + i]);
      block(x, out + b * Blocks::kFileBytes);
    }
  }
};

}  // namespace deepwell
