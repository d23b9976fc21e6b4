// SPDX-License-Identifier: Apache-2.0
#include "engine/convert/fit_steps.h"
#include "engine/convert/quantizer.h"
#include "engine/quant/packing.h"

namespace deepwell {
namespace {

void quantize(const float* row, std::int64_t n, std::byte* out) {
  for (std::int64_t b = 0; b < n / 32; ++b, row += 32, out += 18) {
    float x[32];
    for (int i = 0; i < 32; ++i) x[i] = finite(row[i]);
    const std::uint16_t half =
        float_to_half(std::clamp(fit_symmetric(x, 32, -8, 7).scale, -65504.0F, 65504.0F));
    const float back = inverse(half_to_float(half));
    store_as(out, half);
    const auto step = [&](int i) { return step_at(x[i] * back, -8, 7) + 8; };
    for (int i = 0; i < 16; ++i) out[2 + i] = static_cast<std::byte>(step(i) | step(16 + i) << 4);
  }
}

}  // namespace
Quantizer quantizer_quantizers_q4_0() { return {TypeId::kQ4_0, 2, quantize}; }
}  // namespace deepwell
