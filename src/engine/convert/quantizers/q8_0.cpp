// SPDX-License-Identifier: Apache-2.0
#include "engine/convert/fit_steps.h"
#include "engine/convert/quantizer.h"
#include "engine/quant/packing.h"

namespace deepwell {
namespace {

/// 32 under a half: the largest is step 127.
void quantize(const float* row, std::int64_t n, std::byte* out) {
  for (std::int64_t b = 0; b < n / 32; ++b, row += 32, out += 34) {
    float most = 0;
    for (int i = 0; i < 32; ++i) most = std::max(most, std::fabs(finite(row[i])));
    const std::uint16_t half = float_to_half(std::min(most / 127, 65504.0F));
    const float back = inverse(half_to_float(half));
    store_as(out, half);
    for (int i = 0; i < 32; ++i)
      store_as(out + 2 + i, static_cast<std::int8_t>(step_at(finite(row[i]) * back, -127, 127)));
  }
}

}  // namespace
Quantizer quantizer_quantizers_q8_0() { return {TypeId::kQ8_0, 7, quantize}; }
}  // namespace deepwell
