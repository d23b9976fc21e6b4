// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "base/float8.h"
#include "engine/convert/fit_steps.h"
#include "engine/convert/quantizer.h"
#include "engine/quant/nibbles.h"

namespace deepwell {
namespace {

int nearest_code(float doubled) {
  int best = 0;
  for (int code = 1; code < 16; ++code)
    if (std::fabs(doubled - static_cast<float>(kE2M1Doubled[static_cast<std::size_t>(code)])) <
        std::fabs(doubled - static_cast<float>(kE2M1Doubled[static_cast<std::size_t>(best)])))
      best = code;
  return best;
}

/// Half the block's power of two, for the doubled codes.
float half_scale(int exponent) {
  const auto head = static_cast<std::byte>(exponent);
  return Mxfp4Codec::scale(&head, 0);
}

void quantize(const float* row, std::int64_t n, std::byte* out) {
  for (std::int64_t b = 0; b < n / 32; ++b, row += 32, out += 17) {
    float x[32], most = 0;
    for (int i = 0; i < 32; ++i) most = std::max(most, std::fabs(x[i] = finite(row[i])));
    // 6 is the largest value; the exponent below may fit the others better than it harms that one.
    const int middle = most == 0.0F ? 0 : std::ilogb(most) - 2 + 127;
    int exponent = 0;
    double least = INFINITY;
    constexpr int kMost = 252;  // beyond, the largest code is no float
    for (int each = std::clamp(middle - 1, 0, kMost); each <= std::clamp(middle + 1, 0, kMost); ++each) {
      const float scale = half_scale(each), back = inverse(scale);
      double error = 0;
      for (const float value : x) {
        const int code = nearest_code(std::clamp(value * back, -100.0F, 100.0F));
        const double off = double{scale} * kE2M1Doubled[static_cast<std::size_t>(code)] - double{value};
        error += off * off;
      }
      if (error < least) {
        least = error;
        exponent = each;
      }
    }
    out[0] = static_cast<std::byte>(exponent);
    const float back = inverse(half_scale(exponent));
    const auto code = [&](int i) { return nearest_code(std::clamp(x[i] * back, -100.0F, 100.0F)); };
    for (int i = 0; i < 16; ++i) out[1 + i] = static_cast<std::byte>(code(i) | code(16 + i) << 4);
  }
}

}  // namespace
Quantizer quantizer_quantizers_mxfp4() { return {TypeId::kMXFP4, 38, quantize}; }
}  // namespace deepwell
