// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "engine/nn/linear.h"

namespace deepwell {

/// Manifold-constrained hyper-connections: the residual is several streams, (rows, streams, width). A block
/// reads a weighted sum of them; its output goes to each stream with a weight, and the streams are mixed by a
/// matrix whose rows and columns sum to one. All weights depend on the row. Source: Xie et al. 2025, "mHC:
/// Manifold-Constrained Hyper-Connections".
struct HyperConnection {
  std::int64_t streams = 0;  // at most kMostStreams
  int iterations = 0;        // of making rows and columns sum to one
  float eps = 0, norm_eps = 0;
  Linear project;                  // ((2 + streams) * streams, streams * width): pre, post, mix
  std::vector<float> base, scale;  // ((2 + streams) * streams), (3)

  static constexpr std::int64_t kMostStreams = 8;
  /// Of a row: pre, post, mix.
  std::int64_t coefficients() const { return (2 + streams) * streams; }
  /// y (rows, width), what the block reads of x; coefficients (rows, coefficients()) are for merge. `before`:
  /// the coefficients of the block before, by whose weights x is read instead of by its own (V4.1).
  void collapse(const float* x, std::int64_t rows, float* y, float* coefficients, Context& context,
                const float* before = nullptr) const;
  /// x becomes the mixed streams plus each stream's share of the block's output (rows, width).
  void merge(const float* output, const float* coefficients, std::int64_t rows, float* x,
             Context& context) const;
};

/// y (rows, width) = the sum of the streams x (rows, streams, width), weighted by the row: its weights are at
/// weights + row * stride.
void weigh_streams(const float* x, const float* weights, std::int64_t stride, std::int64_t rows,
                   std::int64_t streams, std::int64_t width, float* y, Context& context);

/// The end of the streams: their sum, weighted by the row.
struct HyperHead {
  std::int64_t streams = 0;
  float eps = 0, norm_eps = 0;
  Linear project;                  // (streams, streams * width)
  std::vector<float> base, scale;  // (streams), (1)

  /// y (rows, width) of x (rows, streams, width).
  void collapse(const float* x, std::int64_t rows, float* y, Context& context) const;
};

}  // namespace deepwell
