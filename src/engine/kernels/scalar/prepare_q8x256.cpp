// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/scalar/prepare_reference.h"

namespace deepwell {
namespace {
std::int32_t pair(int low, int high) {
  return static_cast<std::int32_t>((static_cast<std::uint32_t>(low) & 0xffffU) |
                                   static_cast<std::uint32_t>(high) << 16);
}

void run(const float* const* columns, const ActivationTile& tile) {
  const int width = tile.width;
  for (int c = 0; c < width; ++c) {
    for (std::int64_t b = 0; b < tile.k / 256; ++b) {
      std::int8_t steps[256] = {};
      float scale = 0;
      if (columns[c] != nullptr) {
        const float high = highest_magnitude_reference(columns[c] + b * 256, 256);
        scale = high > kQuietMagnitude ? high / 127.0F : 0.0F;
        quantize_reference(columns[c] + b * 256, 256, high > kQuietMagnitude ? 127.0F / high : 0.0F, steps);
      }
      tile.scales[b * width + c] = scale;
      for (int w = 0; w < 64; ++w) std::memcpy(&tile.steps[(b * 64 + w) * width + c], steps + 4 * w, 4);
      for (int s = 0; s < 16; ++s)
        tile.starts[0][(b * 16 + s) * width + c] = -32 * sum_reference(steps + 16 * s, 16);
      tile.starts[1][b * width + c] = -127 * sum_reference(steps, 256);
      for (int p = 0; p < 4; ++p)
        tile.sum_pairs[(b * 4 + p) * width + c] =
            pair(sum_reference(steps + 64 * p, 32), sum_reference(steps + 64 * p + 32, 32));
      for (int p = 0; p < 8; ++p) {
        const std::int8_t* const first = steps + p / 2 * 64 + p % 2 * 16;
        tile.run_pairs[(b * 8 + p) * width + c] =
            pair(sum_reference(first, 16), sum_reference(first + 32, 16));
      }
    }
  }
}
}  // namespace
Kernel kernel_scalar_prepare_q8x256() { return kernel_of<PrepareQ8x256>(Isa::kScalar, run); }
}  // namespace deepwell
