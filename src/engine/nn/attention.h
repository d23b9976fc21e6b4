// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "engine/nn/attend_segments.h"
#include "engine/nn/batch.h"
#include "engine/nn/context.h"

namespace deepwell {

/// Causal attention with grouped heads over a paged cache: stream 0 of the layer holds keys, stream 1 values.
/// Within a page, each key/value head has its keys as (head_dim, page tokens) and its values as
/// (page tokens, head_dim): the shapes the kernel reads in order.
struct Attention {
  std::int64_t heads, kv_heads, head_dim;
  float scale;
  std::int64_t segment_tokens = SegmentedAttention::kTokens;

  std::vector<StreamSpec> streams() const {
    return {{"keys", head_dim, 1, kv_heads}, {"values", head_dim, 1, kv_heads}};
  }
  /// k, v (rows, kv_heads * head_dim) go into the cache at their positions.
  void remember(const float* k, const float* v, const Batch& batch, std::int64_t layer,
                Context& context) const;
  /// q, out (rows, heads * head_dim); every position up to the row's own is seen.
  void attend(const float* q, const Batch& batch, std::int64_t layer, float* out, Context& context) const;
};

}  // namespace deepwell
