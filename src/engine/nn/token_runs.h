// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/nn/batch.h"
#include "engine/nn/context.h"

namespace deepwell {

/// The run of tokens that ends at each row, for what looks words up (Engram). Those of earlier steps are a
/// rolling state of the sequence: the token of position p at p % (length - 1). So a run is whole however a
/// sequence was cut into steps, restored from a prefix, swapped or brought back after wrong guesses.
struct TokenRuns {
  std::int64_t length = 0;              // tokens of a run, at least 2
  std::int64_t layer = 0, rolling = 0;  // whose rolling state it is

  RollingSpec rolling_spec() const {
    return {"tokens", (length - 1) * static_cast<std::int64_t>(sizeof(std::int32_t))};
  }
  /// runs (rows, length), in scratch memory: a row's own token first, then the one before it, and so on; -1
  /// before the sequence's start. The rows' tokens go into the state: once a step.
  const std::int32_t* take(const Batch& batch, Context& context) const;
};

}  // namespace deepwell
