// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/nn/latent_attention.h"
#include "engine/nn/layers.h"
#include "engine/nn/rope.h"

namespace deepwell {

/// The lightning indexer of DeepSeek-V3.2: small heads that score every cached token, so that attention reads
/// only the best top_k. Its keys are a cache stream of their own, `stream` of the layer: pages of (page
/// tokens, width).
struct Indexer {
  std::int64_t heads = 0, width = 0, top_k = 0, stream = 1;
  Linear q_b;                          // (heads*width, q_rank)
  Linear k;                            // (width, model width)
  Linear weight;                       // (heads, model width)
  std::vector<float> k_scale, k_bias;  // (width) x2: a layer norm

  static StreamSpec spec(std::int64_t width) { return {"index keys", width}; }
  /// x: the block's input (rows, model width); low: the low-rank query (rows, q_rank). Remembers the rows'
  /// keys; the selection is empty (no ids) when every row sees at most top_k tokens, and so all of them.
  Selection select(Input& x, Input& low, const Batch& batch, std::int64_t layer, const Rope& rope,
                   const Rope::Table& angles, Context& context) const;

 private:
  void remember(Input& x, const Batch& batch, std::int64_t layer, const Rope& rope, const Rope::Table& angles,
                Context& context) const;
};

}  // namespace deepwell
