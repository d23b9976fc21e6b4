// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/models/loader.h"
#include "engine/nn/batch.h"

namespace deepwell {

/// The end of every decoder: a norm, and a matrix with a row for each token, which may be the token table.
struct OutputHead {
  RmsNormLayer norm;
  Linear matrix;  // (vocabulary, width)

  static Result<OutputHead> load(Loader& loader, std::int64_t vocabulary, std::int64_t width, float eps);
  /// logits (n, vocabulary) of x (n, width), which is overwritten.
  void apply(float* x, std::int64_t n, float* logits, Context& context) const;
};

/// The rows of x (rows, width) whose logits are wanted, in scratch memory: (output rows, width).
float* pick_output_rows(const Batch& batch, const float* x, std::int64_t width, Scratch& scratch);

/// How many tokens the file's token table has; 0 without one.
std::int64_t vocabulary_of(const Loader& loader);

}  // namespace deepwell
