// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/nn/linear.h"

namespace deepwell {

/// Which experts the tokens of a batch go to: ids, weights (tokens, used).
struct Routing {
  const std::int32_t* ids;
  const float* weights;
  std::int64_t used;
};

/// The routed experts of a layer, each down(silu(gate x) * up x), gate and up limited as in swiglu(). Tokens
/// are sorted by expert over the whole batch, whatever sequences they belong to, so each expert's weights are
/// read once; all experts' chunks of rows are one list of tasks.
class Experts {
 public:
  Experts() = default;
  /// gate, up (ffn, width) and down (width, ffn), a slab for each expert.
  Experts(PackedMatrix gate, PackedMatrix up, PackedMatrix down, float limit = 0);
  bool empty() const { return gate_.weights().empty(); }
  std::int64_t count() const { return gate_.weights().slabs(); }

  /// y (tokens, width) += sum of weight * expert(x) over a token's experts, in their order.
  void add_to(const float* x, std::int64_t tokens, const Routing& routing, float* y, Context& context) const;

 private:
  PackedProduct gate_, up_, down_;
  float limit_ = 0;
};

}  // namespace deepwell
