// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/kernels/kernel.h"

namespace deepwell {

/// y = w * x / sqrt(mean(x^2) + eps).
///
/// Shapes    x, weight, y (n); y may be x.
/// Accuracy  relative 4e-6 of each value against double; the sum of squares in float, lane by lane.
struct RmsNorm {
  static constexpr std::string_view kName = "rms_norm";
  using Fn = void(const float* x, const float* weight, float eps, std::int64_t n, float* y);
};

/// y = silu(gate) * up, silu(x) = x / (1 + exp(-x)).
///
/// Shapes    gate, up, y (n); y may be gate or up.
/// Accuracy  relative 1e-6 of |y| plus 1e-37, for finite inputs.
struct SwiGlu {
  static constexpr std::string_view kName = "swiglu";
  using Fn = void(const float* gate, const float* up, std::int64_t n, float* y);
};

/// Rotary embedding of one head in place: (a, b) -> (a cos - b sin, a sin + b cos) for each of `pairs` pairs,
/// which are (2i, 2i+1) or, in RotateHalves, (i, i + pairs). cos, sin (pairs).
struct RotatePairs {
  static constexpr std::string_view kName = "rotate_pairs";
  using Fn = void(float* x, const float* cosine, const float* sine, std::int64_t pairs);
};
struct RotateHalves {
  static constexpr std::string_view kName = "rotate_halves";
  using Fn = void(float* x, const float* cosine, const float* sine, std::int64_t pairs);
};

/// Floats to IEEE halves, to nearest even.
struct ToHalves {
  static constexpr std::string_view kName = "to_halves";
  using Fn = void(const float* x, std::int64_t n, std::uint16_t* y);
};

}  // namespace deepwell
