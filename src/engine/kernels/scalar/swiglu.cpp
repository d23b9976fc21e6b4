// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "engine/kernels/elementwise.h"

namespace deepwell {
namespace {
void run(const float* gate, const float* up, std::int64_t n, float* y) {
  for (std::int64_t i = 0; i < n; ++i)
    y[i] = static_cast<float>(double{gate[i]} / (1.0 + std::exp(-double{gate[i]})) * double{up[i]});
}
}  // namespace
Kernel kernel_scalar_swiglu() { return kernel_of<SwiGlu>(Isa::kScalar, run); }
}  // namespace deepwell
