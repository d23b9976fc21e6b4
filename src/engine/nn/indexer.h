// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/nn/latent_attention.h"
#include "engine/nn/layers.h"
#include "engine/nn/rope.h"

namespace deepwell {

/// The lightning indexer of DeepSeek V3.2 and V4: small heads that score every cached entry, so that
/// attention reads only the best top_k. Its keys are a cache stream of their own, `stream` of the layer:
/// pages of (entries, width), one for every `tokens_per_entry` tokens.
struct Indexer {
  std::int64_t heads = 0, width = 0, top_k = 0, stream = 1;
  int tokens_per_entry = 1;
  std::int64_t rotated_from = 0;  // of a head's elements: those before it have no position
  Linear q_b;                     // (heads*width, q_rank)
  Linear weight;                  // (heads, model width)

  StreamSpec spec() const { return {"index keys", width, tokens_per_entry}; }
  /// x: the block's input (rows, model width); low: the low-rank query (rows, q_rank). Requires the rows'
  /// keys in the cache. The selection is empty (no ids) when every row sees at most top_k entries, and so
  /// all.
  Selection select(Input& x, Input& low, const Batch& batch, std::int64_t layer, const Rope& rope,
                   const Rope::Table& angles, Context& context) const;
};

/// V3.2's keys for it: a matrix and a layer norm for each token.
struct IndexKeys {
  Linear k;                            // (width, model width)
  std::vector<float> k_scale, k_bias;  // (width) x2

  /// x: the block's input (rows, model width). The rows' keys go into the indexer's stream.
  void remember(Input& x, const Batch& batch, std::int64_t layer, std::int64_t stream, const Rope& rope,
                const Rope::Table& angles, Context& context) const;
};

}  // namespace deepwell
