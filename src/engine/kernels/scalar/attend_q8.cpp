// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/cache_q8.h"
#include "engine/kernels/scalar/attend_reference.h"

namespace deepwell {
namespace {
void run(const AttendArgs& args) {
  attend_reference(
      args,
      [&](const std::byte* page, std::int64_t t, std::int64_t d) {
        return CacheQ8::key_element(page, args.head_dim, t, d);
      },
      [&](const std::byte* page, std::int64_t t, std::int64_t d) {
        return CacheQ8::element(page, args.value_dim, t, d);
      });
}
}  // namespace
Kernel kernel_scalar_attend_q8() { return kernel_of<AttendQ8>(Isa::kScalar, run); }
}  // namespace deepwell
