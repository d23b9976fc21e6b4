// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/activation_tile.h"
#include "engine/kernels/kernel.h"

namespace deepwell {
namespace {
void run(const float* const* columns, const ActivationTile& tile) {
  for (int c = 0; c < tile.width; ++c)
    for (std::int64_t i = 0; i < tile.k; ++i)
      tile.floats[i * tile.width + c] = columns[c] == nullptr ? 0.0F : columns[c][i];
}
}  // namespace
Kernel kernel_scalar_prepare_f32() { return kernel_of<PrepareF32>(Isa::kScalar, run); }
}  // namespace deepwell
