// SPDX-License-Identifier: Apache-2.0
#include "base/half.h"
#include "engine/kernels/scalar/attend_latent_reference.h"

namespace deepwell {
namespace {
float rounded(float x) { return bfloat_to_float(float_to_bfloat(x)); }

float element(CacheType type, const std::byte* page, std::int64_t width, std::int64_t t, std::int64_t d) {
  const std::int64_t at = t * width + d;
  switch (type) {
    case CacheType::kF16:
      return half_to_float(reinterpret_cast<const std::uint16_t*>(page)[at]);
    case CacheType::kBF16:
      return bfloat_to_float(reinterpret_cast<const std::uint16_t*>(page)[at]);
    case CacheType::kF32:
      return reinterpret_cast<const float*>(page)[at];
    case CacheType::kQ8:
      break;
  }
  return CacheQ8::element(page, width, t, d);
}

// The weights stay as they are: rounding them is within the bound.
void run(const AttendLatentArgs& args, CacheType type) {
  std::vector<float> q(args.q, args.q + args.rows * args.width);
  std::transform(q.begin(), q.end(), q.begin(), rounded);
  AttendLatentArgs same = args;
  same.q = q.data();
  attend_latent_reference(same, [type](const std::byte* page, std::int64_t width, std::int64_t t,
                                       std::int64_t d) { return rounded(element(type, page, width, t, d)); });
}
}  // namespace
Kernel kernel_scalar_attend_latent_rounded() { return kernel_of<AttendLatentRounded>(Isa::kScalar, run); }
}  // namespace deepwell
