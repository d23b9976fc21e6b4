// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/nn/expert_store.h"
#include "engine/nn/linear.h"

namespace deepwell {

/// Which experts the tokens of a batch go to: ids, weights (tokens, used).
struct Routing {
  const std::int32_t* ids;
  const float* weights;
  std::int64_t used;
};

struct SortedTokens;

/// The routed experts of a layer, each down(silu(gate x) * up x), gate and up limited as in swiglu(). Tokens
/// are sorted by expert over the whole batch, whatever sequences they belong to, so each expert's weights are
/// read once; all experts' chunks of rows are one list of tasks.
class Experts {
 public:
  Experts() = default;
  /// gate, up (ffn, width) and down (width, ffn), a slab for each expert.
  Experts(PackedProduct gate, PackedProduct up, PackedProduct down, float limit = 0);
  /// Experts may come from `store` when it is open.
  void come_from(std::shared_ptr<ExpertStore> store);
  bool empty() const { return gate_.weights().empty(); }
  std::int64_t count() const { return gate_.weights().slabs(); }

  /// y (tokens, width) += sum of weight * expert(x) over a token's experts, in their order.
  void add_to(const float* x, std::int64_t tokens, const Routing& routing, float* y, Context& context) const;

 private:
  void compute(const SortedTokens& sorted, const float* x, float* out, Context& context) const;
  void compute_from_store(const SortedTokens& sorted, const float* x, float* out, Context& context) const;

  PackedProduct gate_, up_, down_;
  float limit_ = 0;
  std::shared_ptr<ExpertStore> store_;
  int layer_ = 0;  // in the store
};

}  // namespace deepwell
