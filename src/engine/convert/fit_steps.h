// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/half.h"

namespace deepwell {

/// x near scale * step, or scale * step - minimum, for whole steps in a range.
///
/// Accuracy  each function tries several scales, solves for the best (least squares) given the steps that
/// each
///           leads to, and keeps what has the smallest sum of squared errors.
struct Fit {
  float scale = 0, minimum = 0;
  double error = 0;
};

/// The whole number nearest to a value, in a range; NaN is the lowest.
inline int step_at(float value, int lowest, int highest) {
  if (!(value > static_cast<float>(lowest))) return lowest;
  if (!(value < static_cast<float>(highest))) return highest;
  return static_cast<int>(value + (value < 0 ? -0.5F : 0.5F));  // no call, unlike nearbyint
}
inline float rounded_half(float value) { return half_to_float(float_to_half(value)); }
/// Zero instead of what no block can hold.
inline float finite(float value) { return std::isfinite(value) ? value : 0.0F; }
/// 1 / value, or 0 where that has no meaning.
inline float inverse(float value) {
  return value == 0.0F || !std::isfinite(1.0F / value) ? 0.0F : 1.0F / value;
}

/// The sum of squared errors of x over steps lowest..highest of `scale`, less `minimum`.
inline double error_of(const float* x, int n, float scale, float minimum, int lowest, int highest) {
  const float back = inverse(scale);
  double error = 0;
  for (int i = 0; i < n; ++i) {
    const int step = step_at((x[i] + minimum) * back, lowest, highest);
    const double off = double{scale} * step - double{minimum} - double{x[i]};
    error += off * off;
  }
  return error;
}

/// Symmetric: steps lowest..highest around zero, one more below than above. The scale may be negative.
inline Fit fit_symmetric(const float* x, int n, int lowest, int highest) {
  float most = 0;
  for (int i = 0; i < n; ++i)
    if (std::fabs(x[i]) > std::fabs(most)) most = x[i];
  Fit best;
  if (most == 0.0F || inverse(most) == 0.0F) return best;
  best.error = INFINITY;
  // The largest value takes the step farthest out, or nearly, on either side.
  for (int attempt = -12; attempt <= 12; ++attempt) {
    for (const int end : {lowest, highest}) {
      const float back = (static_cast<float>(end) + 0.1F * static_cast<float>(attempt)) * inverse(most);
      double xs = 0, ss = 0;
      for (int i = 0; i < n; ++i) {
        const int step = step_at(x[i] * back, lowest, highest);
        xs += double{x[i]} * step;
        ss += double(step) * step;
      }
      if (ss == 0) continue;
      const auto scale = static_cast<float>(xs / ss);
      const double error = error_of(x, n, scale, 0, lowest, highest);
      if (error < best.error) best = {scale, 0, error};
    }
  }
  return best;
}

/// With a minimum of zero or more: steps 0..highest.
inline Fit fit_with_minimum(const float* x, int n, int highest) {
  const auto [low, high] = std::minmax_element(x, x + n);
  const float bottom = std::min(*low, 0.0F), range = *high - bottom;
  Fit best{0, -bottom, 0};
  for (int i = 0; i < n; ++i) best.error += (double{x[i]} - double{bottom}) * (double{x[i]} - double{bottom});
  if (!(range > 0) || inverse(range) == 0.0F) return best;
  for (int attempt = -10; attempt <= 15; ++attempt) {
    float minimum = -bottom;
    float back = (static_cast<float>(highest) + 0.1F * static_cast<float>(attempt)) / range;
    // Twice: steps from the line, the line from the steps.
    for (int round = 0; round < 2; ++round) {
      double s = 0, ss = 0, xs = 0, sum = 0;
      for (int i = 0; i < n; ++i) {
        const int step = step_at((x[i] + minimum) * back, 0, highest);
        s += step;
        ss += double(step) * step;
        xs += double{x[i]} * step;
        sum += double{x[i]};
      }
      const double spread = n * ss - s * s;
      if (spread <= 0) break;
      double slope = (n * xs - sum * s) / spread, offset = (sum - slope * s) / n;
      if (offset > 0) {  // a minimum below zero cannot be said
        offset = 0;
        slope = xs / ss;
      }
      if (!(slope > 0)) break;
      const auto scale = static_cast<float>(slope);
      minimum = static_cast<float>(-offset);
      back = inverse(scale);
      if (back == 0.0F) break;
      const double error = error_of(x, n, scale, minimum, 0, highest);
      if (error < best.error) best = {scale, minimum, error};
    }
  }
  return best;
}

}  // namespace deepwell
