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
  /// y = x (n, width), normed.
  void states(const float* x, std::int64_t n, float* y, Context& context) const;
};

/// Rows of x (rows, width), in scratch memory: (picked, width).
float* pick_rows(std::span<const std::int32_t> picked, const float* x, std::int64_t width, Scratch& scratch);
/// What a decoder ends with: logits and states of the rows of x (rows, width) for which they are wanted.
void finish_rows(const OutputHead& head, const Batch& batch, const float* x, std::int64_t width,
                 float* logits, Context& context);

/// How many tokens the file's token table has; 0 without one.
std::int64_t vocabulary_of(const Loader& loader);

}  // namespace deepwell
