// SPDX-License-Identifier: Apache-2.0
#include "base/half.h"
#include "engine/kernels/scalar/index_scores_reference.h"

namespace deepwell {
namespace {
void run(const IndexScoresArgs& args) {
  index_scores_reference(args, [](const std::byte* page, std::int64_t width, std::int64_t t, std::int64_t d) {
    return reinterpret_cast<const float*>(page)[t * width + d];
  });
}
}  // namespace
Kernel kernel_scalar_index_scores_f32() { return kernel_of<IndexScoresF32>(Isa::kScalar, run); }
}  // namespace deepwell
