// SPDX-License-Identifier: Apache-2.0
#include "base/half.h"
#include "engine/kernels/scalar/index_scores_reference.h"

namespace deepwell {
namespace {
void run(const IndexScoresArgs& args) {
  index_scores_reference(args, [](const std::byte* page, std::int64_t width, std::int64_t t, std::int64_t d) {
    return half_to_float(reinterpret_cast<const std::uint16_t*>(page)[t * width + d]);
  });
}
}  // namespace
Kernel kernel_scalar_index_scores_f16() { return kernel_of<IndexScoresF16>(Isa::kScalar, run); }
}  // namespace deepwell
