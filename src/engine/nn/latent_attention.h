// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "engine/nn/attend_segments.h"
#include "engine/nn/batch.h"
#include "engine/nn/linear.h"

namespace deepwell {

/// A small matrix for each head: y_h = W_h x_h.
class HeadLinear {
 public:
  HeadLinear() = default;
  explicit HeadLinear(PackedMatrix weights) : product_(std::move(weights)) {}  ///< a slab for each head
  bool empty() const { return product_.weights().empty(); }
  std::int64_t heads() const { return product_.weights().slabs(); }
  std::int64_t rows() const { return product_.weights().rows(); }
  std::int64_t k() const { return product_.weights().k(); }
  const PackedProduct& product() const { return product_; }
  /// x_h of token t at x + t * x_stride + h * x_head_stride; y likewise.
  void apply(const float* x, std::int64_t x_stride, std::int64_t x_head_stride, std::int64_t tokens, float* y,
             std::int64_t y_stride, std::int64_t y_head_stride, Context& context) const;

 private:
  PackedProduct product_;
};

/// Which cache entries each row of a batch attends to: `counts[row]` ascending positions from ids + row *
/// most.
struct Selection {
  std::int32_t* ids = nullptr;  ///< (rows, most)
  std::int32_t* counts = nullptr;
  std::int64_t most = 0;
};

/// Attention whose every head reads the same cached vector (multi-head latent attention, absorbed): an entry
/// of `width` elements is the key of all heads, its first `value_width` are the value. Stream 0 of the layer:
/// pages of (page tokens, width).
struct LatentAttention {
  std::int64_t heads, width, value_width;
  float scale;
  std::int64_t segment_tokens = SegmentedAttention::kTokens;

  std::vector<StreamSpec> streams() const { return {{"latents", width}}; }
  /// entries (rows, width) go into the cache at their positions.
  void remember(const float* entries, const Batch& batch, std::int64_t layer, Context& context) const;
  /// q (rows, heads, width), out (rows, heads, value_width).
  void attend(const float* q, const Batch& batch, std::int64_t layer, float* out, Context& context) const;
  /// The same over the selected entries only, which are gathered.
  void attend_selected(const float* q, const Batch& batch, std::int64_t layer, const Selection& selection,
                       float* out, Context& context) const;
};

}  // namespace deepwell
