// SPDX-License-Identifier: Apache-2.0
#include "engine/convert/fit_steps.h"
#include "engine/convert/quantizer.h"
#include "engine/quant/packing.h"

namespace deepwell {
namespace {

void quantize(const float* row, std::int64_t n, std::byte* out) {
  for (std::int64_t b = 0; b < n / 32; ++b, row += 32, out += 20) {
    float x[32];
    for (int i = 0; i < 32; ++i) x[i] = finite(row[i]);
    // Minima here may have any sign: counted from the smallest value, they are zero or more.
    const float low = *std::min_element(x, x + 32);
    float shifted[32];
    for (int i = 0; i < 32; ++i) shifted[i] = x[i] - low;
    const Fit fit = fit_with_minimum(shifted, 32, 15);
    const std::uint16_t scale = float_to_half(std::clamp(fit.scale, -65504.0F, 65504.0F)),
                        minimum = float_to_half(std::clamp(low - fit.minimum, -65504.0F, 65504.0F));
    const float back = inverse(half_to_float(scale)), from = half_to_float(minimum);
    store_as(out, scale);
    store_as(out + 2, minimum);
    const auto step = [&](int i) { return step_at((x[i] - from) * back, 0, 15); };
    for (int i = 0; i < 16; ++i) out[4 + i] = static_cast<std::byte>(step(i) | step(16 + i) << 4);
  }
}

}  // namespace
Quantizer quantizer_quantizers_q4_1() { return {TypeId::kQ4_1, 3, quantize}; }
}  // namespace deepwell
