// SPDX-License-Identifier: Apache-2.0
#include "base/half.h"
#include "engine/kernels/cache_q8.h"
#include "engine/kernels/scalar/attend_reference.h"

namespace deepwell {
namespace {
float rounded(float x) { return bfloat_to_float(float_to_bfloat(x)); }

float element(CacheType type, const std::byte* page, std::int64_t at) {
  if (type == CacheType::kF32) return reinterpret_cast<const float*>(page)[at];
  const std::uint16_t bits = reinterpret_cast<const std::uint16_t*>(page)[at];
  return type == CacheType::kF16 ? half_to_float(bits) : bfloat_to_float(bits);
}

// The weights stay as they are: rounding them is within the bound.
void run(const AttendArgs& args, CacheType type) {
  std::vector<float> q;
  for (int r = 0; r < args.rows; ++r)
    std::transform(args.q + r * args.q_stride, args.q + r * args.q_stride + args.head_dim,
                   std::back_inserter(q), rounded);
  AttendArgs same = args;
  same.q = q.data();
  same.q_stride = args.head_dim;
  attend_reference(
      same,
      [&](const std::byte* page, std::int64_t t, std::int64_t d) {
        return rounded(type == CacheType::kQ8 ? CacheQ8::key_element(page, args.head_dim, t, d)
                                              : element(type, page, d * kPageTokens + t));
      },
      [&](const std::byte* page, std::int64_t t, std::int64_t d) {
        return rounded(type == CacheType::kQ8 ? CacheQ8::element(page, args.value_dim, t, d)
                                              : element(type, page, t * args.value_dim + d));
      });
}
}  // namespace
Kernel kernel_scalar_attend_rounded() { return kernel_of<AttendRounded>(Isa::kScalar, run); }
}  // namespace deepwell
