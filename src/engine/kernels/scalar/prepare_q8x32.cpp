// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/scalar/prepare_reference.h"

namespace deepwell {
namespace {
void run(const float* const* columns, const ActivationTile& tile) {
  for (int c = 0; c < tile.width; ++c) {
    for (std::int64_t b = 0; b < tile.k / 32; ++b) {
      std::int8_t steps[32] = {};
      float scale = 0;
      if (columns[c] != nullptr) {
        const float high = highest_magnitude_reference(columns[c] + b * 32, 32);
        scale = half_to_float(float_to_half(high / 127.0F));
        quantize_reference(columns[c] + b * 32, 32, high > kQuietMagnitude ? 127.0F / high : 0.0F, steps);
      }
      const std::int64_t at = b * tile.width + c;
      for (int w = 0; w < 8; ++w) std::memcpy(&tile.steps[(b * 8 + w) * tile.width + c], steps + 4 * w, 4);
      const int sum = sum_reference(steps, 32);
      tile.scales[at] = scale;
      tile.scaled_sums[at] = scale * static_cast<float>(sum);
      tile.starts[0][at] = -8 * sum;
      tile.starts[1][at] = -16 * sum;
      tile.starts[2][at] = -128 * sum;
    }
  }
}
}  // namespace
Kernel kernel_scalar_prepare_q8x32() { return kernel_of<PrepareQ8x32>(Isa::kScalar, run); }
}  // namespace deepwell
