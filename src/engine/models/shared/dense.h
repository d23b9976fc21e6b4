// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/models/loader.h"
#include "engine/models/model.h"
#include "engine/models/shared/output_head.h"
#include "engine/nn/attention.h"
#include "engine/nn/feed_forward.h"
#include "engine/nn/rope.h"

namespace deepwell {

/// The decoder that Llama made common: RMS norms before, grouped attention with rotary positions, a gated
/// MLP. Its relatives differ in what their files of models/ say: how rope pairs elements, which biases there
/// are.
class DenseModel final : public Model {
 public:
  static Result<std::unique_ptr<Model>> load(Loader& loader, RopeLayout layout, const Router& experts = {});
  static Result<CacheLayout> layout(const Loader& loader, CacheType type);

  const ModelShape& shape() const override { return shape_; }
  CacheLayout cache_layout(CacheType type) const override;
  void forward(const Batch& batch, float* logits, Context& context) const override;

 private:
  struct Layer {
    RmsNormLayer attn_norm, ffn_norm;  // (width) x2
    RmsNormLayer q_norm, k_norm;       // (head_dim) x2, or empty
    Linear q, k, v, out;               // (heads*head_dim, width), (kv_heads*head_dim, width) x2, q transposed
    FeedForward ffn;
  };
  void attend(const Layer& layer, std::int64_t index, const Batch& batch, const Rope::Table& angles, float* x,
              Context& context) const;

  ModelShape shape_;
  Attention attention_{};
  Rope rope_;
  Embedding embedding_;
  std::vector<Layer> layers_;
  OutputHead head_;
};

}  // namespace deepwell
