// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/elementwise.h"

namespace deepwell {
namespace {
void run(float* x, const float* cosine, const float* sine, std::int64_t pairs) {
  for (std::int64_t i = 0; i < pairs; ++i) {
    const double a = double{x[2 * i]}, b = double{x[2 * i + 1]};
    x[2 * i] = static_cast<float>(a * double{cosine[i]} - b * double{sine[i]});
    x[2 * i + 1] = static_cast<float>(a * double{sine[i]} + b * double{cosine[i]});
  }
}
}  // namespace
Kernel kernel_scalar_rotate_pairs() { return kernel_of<RotatePairs>(Isa::kScalar, run); }
}  // namespace deepwell
