// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/cache_elements.h"

#include <algorithm>
#include <cstring>

#include "base/half.h"
#include "engine/kernels/elementwise.h"

namespace deepwell {

void put_cache_elements(CacheType type, const float* x, std::int64_t n, std::byte* to, std::int64_t stride) {
  if (type == CacheType::kF32) {
    auto* out = reinterpret_cast<float*>(to);
    for (std::int64_t i = 0; i < n; ++i) out[i * stride] = x[i];
    return;
  }
  auto* out = reinterpret_cast<std::uint16_t*>(to);
  if (type == CacheType::kBF16) {
    for (std::int64_t i = 0; i < n; ++i) out[i * stride] = float_to_bfloat(x[i]);
    return;
  }
  static ToHalves::Fn* const to_halves = best_kernel<ToHalves>();
  if (stride == 1) return to_halves(x, n, out);
  std::uint16_t halves[64];
  for (std::int64_t i = 0; i < n; i += 64) {
    const std::int64_t count = std::min<std::int64_t>(64, n - i);
    to_halves(x + i, count, halves);
    for (std::int64_t j = 0; j < count; ++j) out[(i + j) * stride] = halves[j];
  }
}

void get_cache_elements(CacheType type, const std::byte* from, std::int64_t n, float* x) {
  if (type == CacheType::kF32) {
    std::memcpy(x, from, static_cast<std::size_t>(n) * sizeof(float));
    return;
  }
  const auto* elements = reinterpret_cast<const std::uint16_t*>(from);
  for (std::int64_t i = 0; i < n; ++i)
    x[i] = type == CacheType::kF16 ? half_to_float(elements[i]) : bfloat_to_float(elements[i]);
}

}  // namespace deepwell
