// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "engine/kv/page_pool.h"

namespace deepwell {

/// Consecutive rows of one sequence in a batch. Its cache has room for every position among them.
struct BatchSequence {
  std::int64_t first, count;
  const SequenceCache* cache;
  /// Tokens that were given, not drawn. A model may compute these in another way, better for many at once;
  /// which way it is then depends on nothing else, so that chunks and neighbours change no bit.
  bool prompt = false;
};

/// What one forward pass computes: prompt chunks and single tokens of many sequences side by side.
struct Batch {
  std::span<const std::int32_t> tokens;
  std::span<const std::int32_t> positions;  ///< of each token in its sequence
  std::span<const BatchSequence> sequences;
  std::span<const std::int32_t> output_rows{};  ///< ascending: rows whose logits are wanted
  std::span<const std::int32_t> state_rows{};   ///< ascending: rows whose last hidden states are, too
  float* states = nullptr;                      ///< (state rows, width), normed as for logits
  float* draft_states = nullptr;  ///< (rows, Model::state_width()): for a layer that drafts; or nowhere

  std::int64_t rows() const { return static_cast<std::int64_t>(tokens.size()); }
};

}  // namespace deepwell
