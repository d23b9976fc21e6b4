// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "engine/nn/latent_attention.h"

namespace deepwell {

/// Attention of DeepSeek V4: all heads read the same vectors, which are keys and values; those of the last
/// `window` tokens and, where a layer compresses, entries that stand for many tokens each. Every head has a
/// sink: a score that takes its share of the softmax and gives nothing.
///
/// The window is a ring in the layer's rolling state `rolling`: the vector of position p at p % ring().
struct WindowAttention {
  std::int64_t heads = 0, width = 0, window = 0, rolling = 0;
  std::int64_t spare = 0;  ///< places beyond the window: so many latest tokens may be others after all
  float scale = 1;
  std::vector<float> sinks;  // (heads)

  /// Compressed entries, of the layer or of one before it: a stream with one for every `tokens_per_entry`
  /// tokens, of which a row sees those complete at its position, or the selected ones of them.
  struct Entries {
    std::int64_t layer = 0, stream = 0;
    int tokens_per_entry = 0;  // 0: there are none
    Selection selection{};
  };

  std::int64_t ring() const { return window + spare; }
  RollingSpec rolling_spec(CacheType type) const {
    return {"window", ring() * cache_vector_bytes(type, width)};
  }
  /// q (rows, heads, width), vectors (rows, width) of the same rows, out (rows, heads, width). The vectors go
  /// into the window.
  void attend(const float* q, const float* vectors, const Batch& batch, std::int64_t layer,
              const Entries& entries, float* out, Context& context) const;
};

}  // namespace deepwell
