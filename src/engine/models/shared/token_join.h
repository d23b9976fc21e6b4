// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/models/loader.h"
#include "engine/models/shared/output_head.h"
#include "engine/nn/batch.h"

namespace deepwell {

/// The ends of a layer that drafts (multi-token prediction): what it reads is made of the model's state of a
/// token and the token after it; its own norm comes before the model's head. Of the model it has the token
/// table and the head. Source: DeepSeek-V3 (2412.19437) sec. 2.2.
struct TokenJoin {
  RmsNormLayer token_norm, state_norm, end_norm;  // (width) x3
  Linear join;                                    // (width, 2 * width), the token's half first

  /// `block`: "blk.61.".
  static Result<TokenJoin> load(Loader& loader, const std::string& block, std::int64_t width, float eps);
  /// x (rows, streams, width) of states (rows, streams, width): a residual may be several streams.
  void apply(const Embedding& table, const Batch& batch, const float* states, std::int64_t streams, float* x,
             Context& context) const;
  /// normed (n, width) and its logits, of x (n, width).
  void end(const OutputHead& head, const float* x, std::int64_t n, float* normed, float* logits,
           Context& context) const;
};

}  // namespace deepwell
