// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/cache_elements.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/half.h"
#include "engine/kernels/elementwise.h"

namespace deepwell {
namespace {

constexpr std::int64_t kMostAtOnce = CacheQ8::kBlock;  // elements converted together

std::uint16_t* halves_at(std::byte* at) { return reinterpret_cast<std::uint16_t*>(at); }

template <class Element>
void put_across(const Element* x, std::int64_t n, Element* to) {
  for (std::int64_t i = 0; i < n; ++i) to[i * kPageTokens] = x[i];
}

/// At most one block of 8-bit elements; returns its scale.
float to_steps(const float* x, std::int64_t n, std::int8_t* steps) {
  float largest = 0;
  bool finite = true;
  for (std::int64_t i = 0; i < n; ++i) {
    finite = finite && std::isfinite(x[i]);
    largest = std::max(largest, std::fabs(x[i]));
  }
  // Broken weights: no step says infinity, so the scale does.
  if (!finite || largest < 127 * std::numeric_limits<float>::min()) {
    std::fill_n(steps, n, std::int8_t{0});
    return finite ? 0.0F : std::numeric_limits<float>::quiet_NaN();
  }
  const float scale = largest / 127, inverse = 127 / largest;
  for (std::int64_t i = 0; i < n; ++i) steps[i] = static_cast<std::int8_t>(std::lrint(x[i] * inverse));
  return scale;
}

}  // namespace

void put_cache_vector(CacheType type, const float* x, std::int64_t n, std::byte* to) {
  static ToHalves::Fn* const to_halves = best_kernel<ToHalves>();
  switch (type) {
    case CacheType::kF32:
      std::memcpy(to, x, static_cast<std::size_t>(n) * sizeof(float));
      return;
    case CacheType::kF16:
      to_halves(x, n, halves_at(to));
      return;
    case CacheType::kBF16:
      std::transform(x, x + n, halves_at(to), float_to_bfloat);
      return;
    case CacheType::kQ8:
      break;
  }
  auto* scales = reinterpret_cast<float*>(to + CacheQ8::steps_bytes(n));
  for (std::int64_t i = 0; i < n; i += CacheQ8::kBlock)
    *scales++ = to_steps(x + i, std::min(CacheQ8::kBlock, n - i), reinterpret_cast<std::int8_t*>(to) + i);
}

void put_cache_key(CacheType type, const float* x, std::int64_t n, std::byte* page, std::int64_t slot) {
  if (type == CacheType::kF32) return put_across(x, n, reinterpret_cast<float*>(page) + slot);
  for (std::int64_t i = 0; i < n; i += kMostAtOnce) {
    const std::int64_t count = std::min(kMostAtOnce, n - i);
    if (type == CacheType::kQ8) {
      auto* scales = reinterpret_cast<float*>(page + CacheQ8::steps_bytes(n) * kPageTokens);
      std::int8_t steps[kMostAtOnce];
      scales[i / CacheQ8::kBlock * kPageTokens + slot] = to_steps(x + i, count, steps);
      put_across(steps, count, reinterpret_cast<std::int8_t*>(page) + i * kPageTokens + slot);
    } else {
      std::uint16_t halves[kMostAtOnce];
      put_cache_vector(type, x + i, count, reinterpret_cast<std::byte*>(halves));
      put_across(halves, count, halves_at(page) + i * kPageTokens + slot);
    }
  }
}

void get_cache_vectors(CacheType type, const std::byte* from, std::int64_t count, std::int64_t n, float* x) {
  const auto* halves = reinterpret_cast<const std::uint16_t*>(from);
  switch (type) {
    case CacheType::kF32:
      std::memcpy(x, from, static_cast<std::size_t>(count * n) * sizeof(float));
      return;
    case CacheType::kF16:
      std::transform(halves, halves + count * n, x, half_to_float);
      return;
    case CacheType::kBF16:
      std::transform(halves, halves + count * n, x, bfloat_to_float);
      return;
    case CacheType::kQ8:
      break;
  }
  for (std::int64_t v = 0; v < count; ++v)
    for (std::int64_t i = 0; i < n; ++i) *x++ = CacheQ8::element(from, n, v, i);
}

}  // namespace deepwell
