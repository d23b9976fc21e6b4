// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstring>

#include "base/half.h"
#include "engine/kernels/activation_tile.h"
#include "engine/kernels/kernel.h"

namespace deepwell {

/// n floats to int8 steps of 1/inverse; non-finite products become the nearest end, NaN 0.
inline void quantize_reference(const float* x, int n, float inverse, std::int8_t* steps) {
  for (int i = 0; i < n; ++i) {
    const float scaled = x[i] * inverse;
    const float bounded = scaled > 127.0F ? 127.0F : scaled < -128.0F ? -128.0F : scaled;
    steps[i] = bounded != bounded ? std::int8_t{0} : static_cast<std::int8_t>(std::nearbyintf(bounded));
  }
}

inline float highest_magnitude_reference(const float* x, int n) {
  float high = 0;
  for (int i = 0; i < n; ++i) high = std::fabs(x[i]) > high ? std::fabs(x[i]) : high;
  return high;
}

inline int sum_reference(const std::int8_t* steps, int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) sum += steps[i];
  return sum;
}

}  // namespace deepwell
