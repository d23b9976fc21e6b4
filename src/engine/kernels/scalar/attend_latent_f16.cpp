// SPDX-License-Identifier: Apache-2.0
#include "base/half.h"
#include "engine/kernels/scalar/attend_latent_reference.h"

namespace deepwell {
namespace {
void run(const AttendLatentArgs& args) {
  attend_latent_reference(args,
                          [](const std::byte* page, std::int64_t width, std::int64_t t, std::int64_t d) {
                            return half_to_float(reinterpret_cast<const std::uint16_t*>(page)[t * width + d]);
                          });
}
}  // namespace
Kernel kernel_scalar_attend_latent_f16() { return kernel_of<AttendLatentF16>(Isa::kScalar, run); }
}  // namespace deepwell
