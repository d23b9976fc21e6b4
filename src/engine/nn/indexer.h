// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/nn/compressor.h"
#include "engine/nn/latent_attention.h"
#include "engine/nn/layers.h"
#include "engine/nn/rope.h"

namespace deepwell {

/// Entries in blocks, of which a layer keeps the best for the choices of layers after it (V4.1).
struct IndexBlocks {
  enum class Part { kNone, kKeep, kUse };  // a layer's: it keeps some, it chooses among those kept
  Part part = Part::kNone;
  std::int64_t most = 0, entries = kPageTokens;  // blocks that are kept, entries of a block

  std::int64_t of(std::int64_t seen) const { return (seen + entries - 1) / entries; }
  /// Of so many entries, some are not in blocks that are kept.
  bool limit(std::int64_t seen) const { return part != Part::kNone && of(seen) > most; }
};

/// Where choices are written, in scratch memory: whoever keeps them for more than a layer takes it before.
struct IndexRoom {
  Selection selection;
  std::int32_t* blocks;  // (rows, blocks_most) ascending, of rows that IndexBlocks::limit()
  std::int64_t blocks_most;

  /// For layers that choose at most `top_k` entries and keep at most `blocks` blocks.
  static IndexRoom take(const Batch& batch, std::int64_t top_k, std::int64_t blocks, Context& context);
};

/// The lightning indexer of DeepSeek V3.2 and V4: small heads that score every cached entry, so that
/// attention reads only the best top_k. Its keys are a cache stream of their own, `stream` of the layer that
/// has them: pages of (entries, width), one for every `tokens_per_entry` tokens.
struct Indexer {
  std::int64_t heads = 0, width = 0, top_k = 0, stream = 1;
  int tokens_per_entry = 1;
  std::int64_t rotated_from = 0;  // of a head's elements: those before it have no position
  IndexBlocks blocks;             // their entries divide those of a page
  Linear q_b;                     // (heads*width, q_rank)
  Linear weight;                  // (heads, model width)

  StreamSpec spec() const { return {"index keys", width, tokens_per_entry}; }

  /// x: the block's input (rows, model width); low: the low-rank query (rows, q_rank); `layer` has the keys.
  /// Requires the rows' keys in the cache. The selection is empty (no ids) when every row sees at most top_k
  /// entries, and so all.
  Selection select(Input& x, Input& low, const Batch& batch, std::int64_t layer, const Rope& rope,
                   const Rope::Table& angles, const IndexRoom& room, Context& context) const;

 private:
  bool chooses(std::int64_t seen) const { return seen > top_k || blocks.limit(seen); }
  struct Work;
  std::int32_t choose(const float* q, const float* weights, const SequenceCache& cache, std::int64_t layer,
                      std::int32_t seen, std::int32_t* kept, std::int32_t* chosen, const Work& work) const;
};

/// V3.2's keys for it: a matrix and a layer norm for each token.
struct IndexKeys {
  Linear k;                            // (width, model width)
  std::vector<float> k_scale, k_bias;  // (width) x2

  /// x: the block's input (rows, model width). The rows' keys go into the indexer's stream.
  void remember(Input& x, const Batch& batch, std::int64_t layer, std::int64_t stream, const Rope& rope,
                const Rope::Table& angles, Context& context) const;
};

/// V4.1's: of the compressed entries.
struct EntryKeys {
  Linear k;           // (width, entry width)
  RmsNormLayer norm;  // (width)

  /// latents (blocks, entry width): what the entries were before they were rotated.
  void remember(const float* latents, const Batch& batch, std::int64_t layer, std::int64_t stream,
                const CompletedBlocks& blocks, const Rope& rope, Context& context) const;
};

}  // namespace deepwell
