// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/cache_q8.h"
#include "engine/kernels/scalar/index_scores_reference.h"

namespace deepwell {
namespace {
void run(const IndexScoresArgs& args) { index_scores_reference(args, CacheQ8::element); }
}  // namespace
Kernel kernel_scalar_index_scores_q8() { return kernel_of<IndexScoresQ8>(Isa::kScalar, run); }
}  // namespace deepwell
