// SPDX-License-Identifier: Apache-2.0
#include "base/half.h"
#include "engine/kernels/activation_tile.h"
#include "engine/kernels/kernel.h"

namespace deepwell {
namespace {
void run(const float* const* columns, const ActivationTile& tile) {
  for (int c = 0; c < tile.width; ++c) {
    for (std::int64_t i = 0; i < tile.k; i += 2) {
      const float* x = columns[c];
      const std::uint32_t low = x == nullptr ? 0 : float_to_bfloat(x[i]);
      const std::uint32_t high = x == nullptr || i + 1 == tile.k ? 0 : float_to_bfloat(x[i + 1]);
      tile.bf16[i / 2 * tile.width + c] = low | high << 16;
    }
  }
}
}  // namespace
Kernel kernel_scalar_prepare_bf16() { return kernel_of<PrepareBf16>(Isa::kScalar, run); }
}  // namespace deepwell
