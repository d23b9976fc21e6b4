// SPDX-License-Identifier: Apache-2.0
#include "base/half.h"
#include "engine/kernels/scalar/attend_latent_reference.h"

namespace deepwell {
namespace {
void run(const AttendLatentArgs& args) {
  attend_latent_reference(args,
                          [](const std::byte* page, std::int64_t width, std::int64_t t, std::int64_t d) {
                            return reinterpret_cast<const float*>(page)[t * width + d];
                          });
}
}  // namespace
Kernel kernel_scalar_attend_latent_f32() { return kernel_of<AttendLatentF32>(Isa::kScalar, run); }
}  // namespace deepwell
