// SPDX-License-Identifier: Apache-2.0
#include "base/half.h"
#include "engine/kernels/elementwise.h"

namespace deepwell {
namespace {
void run(const float* x, std::int64_t n, std::uint16_t* y) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = float_to_half(x[i]);
}
}  // namespace
Kernel kernel_scalar_to_halves() { return kernel_of<ToHalves>(Isa::kScalar, run); }
}  // namespace deepwell
