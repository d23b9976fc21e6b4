// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "engine/nn/batch.h"
#include "engine/nn/layers.h"
#include "engine/nn/rope.h"

namespace deepwell {

/// The rows of a batch that complete a block of some number of tokens, in the batch's order, and the angles
/// of each block's first position, where its entry stands.
struct CompletedBlocks {
  const std::int32_t* rows;
  std::int64_t count;
  Rope::Table angles;

  static CompletedBlocks find(const Batch& batch, std::int64_t block_tokens, const Rope& rope,
                              Context& context);
  /// The blocks first .. end - 1 are a sequence's.
  std::pair<std::int64_t, std::int64_t> of(const BatchSequence& sequence) const;
  /// Of the token that completes a block.
  std::int64_t last_position(const Batch& batch, std::int64_t block) const {
    return batch.positions[static_cast<std::size_t>(rows[block])];
  }
};

/// Turns every `block_tokens` tokens into one cache entry: channel by channel the sum of the tokens' values,
/// weighted by a softmax of their gates, then a norm and a rotation. With `overlaps` each token has two
/// values and gates: the second ones belong to its own block, the first ones to the next block as well, so
/// that an entry covers two blocks and there still is one for each.
///
/// What an unfinished block needs to go on is in a rolling state: for each channel the highest gate, the sum
/// of exponentials below it, and the weighted sum; once for the entry being made, with overlap once for the
/// next. Tokens are taken one after another whatever the batch, so the entry has the same bits. A block of
/// one token is its value: it has no gate and no state.
struct Compressor {
  std::int64_t width = 0, stream = 0, rolling = 0;  // the cache's stream, and the rolling state
  int block_tokens = 1;
  bool overlaps = false;
  Linear value, gate;       // (series*width, model width) x2; two series with overlap
  std::vector<float> bias;  // (block_tokens, series*width) of the gates; zeros where a model has none
  RmsNormLayer norm;        // (width)

  std::int64_t series() const { return overlaps ? 2 : 1; }
  StreamSpec spec(std::string_view name) const { return {name, width, block_tokens}; }
  RollingSpec rolling_spec() const {
    return {"block", series() * 3 * width * static_cast<std::int64_t>(sizeof(float))};
  }
  /// values, gates (rows, series * width) of the batch's rows; blocks, the rope's angles for them: as found
  /// for block_tokens. Entries that are complete go into the cache, and before they are rotated to `latents`
  /// (blocks, width), where that is wanted.
  void remember(const float* values, const float* gates, const Batch& batch, std::int64_t layer,
                const CompletedBlocks& blocks, const Rope& rope, Context& context,
                float* latents = nullptr) const;

 private:
  void pool_channels(const float* values, const float* gates, const Batch& batch,
                     const BatchSequence& sequence, float* state, std::int64_t first, std::int64_t count,
                     float* pooled) const;
};

}  // namespace deepwell
