// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/nn/experts.h"
#include "engine/nn/layers.h"
#include "engine/nn/router.h"

namespace deepwell {

/// The second half of a layer: a gated MLP, or a mixture of routed experts with an MLP that every token
/// takes.
struct FeedForward {
  Linear gate, up, down;  // (ffn, width) x2, (width, ffn): the MLP, or the shared experts; may be empty
  Linear route;           // (experts, width); empty: no routed experts
  Router router;
  Experts experts;
  float limit = 0;  // of the MLP's gate and up; 0: none

  /// y (rows, width) += the block's output for x (rows, width), the states of `tokens`.
  void add_to(const float* x, std::span<const std::int32_t> tokens, std::int64_t width, float* y,
              Context& context) const;
};

}  // namespace deepwell
