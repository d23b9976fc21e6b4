// SPDX-License-Identifier: Apache-2.0
#include "base/half.h"
#include "engine/kernels/scalar/attend_reference.h"

namespace deepwell {
namespace {
void run(const AttendArgs& args) {
  attend_reference(
      args, [](const std::byte* page, std::int64_t i) { return reinterpret_cast<const float*>(page)[i]; });
}
}  // namespace
Kernel kernel_scalar_attend_f32() { return kernel_of<AttendF32>(Isa::kScalar, run); }
}  // namespace deepwell
