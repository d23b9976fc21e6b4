// SPDX-License-Identifier: Apache-2.0
// 256 in 16 runs of 16: a signed byte of scale each under one half, steps of 6 bits around zero.
#include <array>
#include <cstring>

#include "engine/convert/fit_steps.h"
#include "engine/convert/quantizer.h"
#include "engine/quant/packing.h"

namespace deepwell {
namespace {

constexpr int kRuns = 16, kLength = 16;

int best_scale(const float* x, float wanted, float d) {
  const int middle = step_at(wanted * inverse(d), -128, 127);
  int best = middle;
  double least = INFINITY;
  for (int each = std::max(-128, middle - 1); each <= std::min(127, middle + 1); ++each) {
    const double error = error_of(x, kLength, d * static_cast<float>(each), 0, -32, 31);
    if (error < least) {
      least = error;
      best = each;
    }
  }
  return best;
}

void block(const float* x, std::byte* out) {
  std::array<float, kRuns> scales{};
  float most = 0;
  for (std::size_t r = 0; r < kRuns; ++r) {
    scales[r] = fit_symmetric(x + r * kLength, kLength, -32, 31).scale;
    if (std::fabs(scales[r]) > std::fabs(most)) most = scales[r];
  }
  const std::uint16_t half = float_to_half(std::clamp(most / -128, -65504.0F, 65504.0F));
  const float d = half_to_float(half);
  std::memset(out, 0, 210);
  store_as(out + 208, half);
  for (std::size_t r = 0; r < kRuns; ++r) {
    const float* from = x + r * kLength;
    const int scale = best_scale(from, scales[r], d);
    store_as(out + 192 + r, static_cast<std::int8_t>(scale));
    const float back = inverse(d * static_cast<float>(scale));
    for (std::size_t i = 0; i < kLength; ++i) {
      const int step = step_at(from[i] * back, -32, 31) + 32;
      // Halves of 128; in each, four quarters of 32 share bytes.
      const std::size_t at = r * kLength + i, h = at / 128, quarter = at % 128 / 32, l = at % 32;
      out[h * 64 + quarter % 2 * 32 + l] |= static_cast<std::byte>((step & 15) << (quarter / 2 * 4));
      out[128 + h * 32 + l] |= static_cast<std::byte>(step >> 4 << (2 * quarter));
    }
  }
}

void quantize(const float* row, std::int64_t n, std::byte* out) {
  float x[256];
  for (std::int64_t b = 0; b < n / 256; ++b) {
    for (std::int64_t i = 0; i < 256; ++i) x[i] = finite(row[b * 256 + i]);
    block(x, out + b * 210);
  }
}

}  // namespace
Quantizer quantizer_quantizers_q6_k() { return {TypeId::kQ6_K, 18, quantize}; }
}  // namespace deepwell
