// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/cache_q8.h"
#include "engine/kernels/scalar/attend_latent_reference.h"

namespace deepwell {
namespace {
void run(const AttendLatentArgs& args) { attend_latent_reference(args, CacheQ8::element); }
}  // namespace
Kernel kernel_scalar_attend_latent_q8() { return kernel_of<AttendLatentQ8>(Isa::kScalar, run); }
}  // namespace deepwell
