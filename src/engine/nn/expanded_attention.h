// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/nn/latent_attention.h"

namespace deepwell {

/// Multi-head latent attention with the cached latents expanded to each head's own keys and values again. One
/// head then reads key + value elements an entry instead of twice the latent (320 for 1088 in V2 and V3), but
/// every entry is expanded once a chunk: the better way for prompts, as absorbing is for single tokens. The
/// two differ by rounding.
struct ExpandedAttention {
  std::int64_t heads, nope, rope, latent, value;
  float scale;

  /// Floats of the heads' keys (`query` elements) and values that are expanded at once, of `seen` tokens.
  static std::int64_t expanded_floats(std::int64_t heads, std::int64_t query, std::int64_t value,
                                      std::int64_t seen);

  /// q (rows, heads, nope + rope), rotated; out (rows, heads, value). keys, values: per head (nope, latent)
  /// and (value, latent). Cache entries are (latent + rope), those of LatentAttention. One sequence's rows.
  void attend(const float* q, const HeadLinear& keys, const HeadLinear& values, const Batch& batch,
              const BatchSequence& sequence, std::int64_t layer, float* out, Context& context) const;
};

}  // namespace deepwell
