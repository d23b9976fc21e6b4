// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "engine/kernels/elementwise.h"

namespace deepwell {
namespace {
void run(const float* x, const float* weight, float eps, std::int64_t n, float* y) {
  double squares = 0;
  for (std::int64_t i = 0; i < n; ++i) squares += double{x[i]} * double{x[i]};
  const double scale = 1.0 / std::sqrt(squares / static_cast<double>(n) + double{eps});
  for (std::int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(double{weight[i]} * (double{x[i]} * scale));
}
}  // namespace
Kernel kernel_scalar_rms_norm() { return kernel_of<RmsNorm>(Isa::kScalar, run); }
}  // namespace deepwell
