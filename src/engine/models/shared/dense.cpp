// SPDX-License-Identifier: Apache-2.0
#include "engine/models/shared/dense.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/kernels/attend.h"
#include "engine/models/shared/feed_forward_config.h"
#include "engine/models/shared/rope_config.h"

namespace deepwell {
namespace {

// No released model comes near; a file that does is broken, and its products could overflow.
constexpr std::int64_t kMostLayers = 1024, kMostWidth = 1 << 20, kMostHeads = 4096, kMostTokens = 1 << 30;

struct Sizes {
  std::int64_t layers, width, heads, kv_heads, head_dim;
};

Result<Sizes> read_sizes(const Loader& loader) {
  Sizes s{};
  DW_TRY(s.layers, loader.integer("block_count", kMostLayers));
  DW_TRY(s.width, loader.integer("embedding_length", kMostWidth));
  DW_TRY(s.heads, loader.integer("attention.head_count", kMostHeads));
  s.kv_heads = loader.integer_or("attention.head_count_kv", s.heads);
  s.head_dim = loader.integer_or("attention.key_length", s.width / s.heads);
  if (s.kv_heads < 1 || s.heads % s.kv_heads != 0 || s.head_dim < 2 || s.head_dim > 1024 ||
      s.head_dim % 2 != 0 || loader.integer_or("attention.value_length", s.head_dim) != s.head_dim)
    return Error{
        ErrorCode::kCorrupt,
        fmt::format(
            "{}: {} heads, {} key/value heads of size {} do not fit together; the file was made wrongly",
            loader.file().path(), s.heads, s.kv_heads, s.head_dim)};
  return s;
}

Attention attention_of(const Sizes& s) {
  return {s.heads, s.kv_heads, s.head_dim, 1.0F / std::sqrt(static_cast<float>(s.head_dim))};
}

CacheLayout layout_of(std::int64_t layers, const Attention& attention, CacheType type) {
  CacheLayout layout;
  layout.layers.assign(static_cast<std::size_t>(layers), attention.streams());
  layout.type = type;
  layout.page_tokens = kPageTokens;
  return layout;
}

}  // namespace

Result<CacheLayout> DenseModel::layout(const Loader& loader, CacheType type) {
  DW_TRY(const Sizes sizes, read_sizes(loader));
  return layout_of(sizes.layers, attention_of(sizes), type);
}

Result<std::unique_ptr<Model>> DenseModel::load(Loader& loader, RopeLayout rope_layout,
                                                const Router& experts) {
  DW_TRY(const Sizes s, read_sizes(loader));
  DW_TRY(const std::int64_t context, loader.integer("context_length", kMostTokens));
  const std::int64_t vocabulary = vocabulary_of(loader);
  DW_TRY(const double epsilon, loader.number("attention.layer_norm_rms_epsilon", 0, 1, 1e-5));
  const auto eps = static_cast<float>(epsilon);
  const std::int64_t rotated = loader.integer_or("rope.dimension_count", s.head_dim);
  if (rotated < 2 || rotated > s.head_dim || rotated % 2 != 0)
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: rope.dimension_count is {} for heads of {}; the file was made wrongly",
                             loader.file().path(), rotated, s.head_dim)};

  auto model = std::make_unique<DenseModel>();
  model->shape_ = {s.layers, s.width, vocabulary, context};
  model->attention_ = attention_of(s);
  DW_TRY(model->rope_, read_rope(loader, rope_layout, rotated / 2));
  DW_TRY(model->embedding_, loader.embedding("token_embd", vocabulary, s.width));
  const std::int64_t q_rows = s.heads * s.head_dim, kv_rows = s.kv_heads * s.head_dim;
  for (std::int64_t i = 0; i < s.layers; ++i) {
    const std::string block = fmt::format("blk.{}.", i);
    Layer layer;
    DW_TRY(layer.attn_norm, loader.rms_norm(block + "attn_norm", s.width, eps));
    DW_TRY(layer.q, loader.linear(block + "attn_q", q_rows, s.width));
    DW_TRY(layer.k, loader.linear(block + "attn_k", kv_rows, s.width));
    DW_TRY(layer.v, loader.linear(block + "attn_v", kv_rows, s.width));
    DW_TRY(layer.out, loader.linear(block + "attn_output", s.width, q_rows));
    DW_TRY(layer.ffn_norm, loader.rms_norm(block + "ffn_norm", s.width, eps));
    DW_TRY(layer.ffn, load_feed_forward(loader, block, i, s.width, experts));
    if (loader.has(block + "attn_q_norm.weight")) {
      DW_TRY(layer.q_norm, loader.rms_norm(block + "attn_q_norm", s.head_dim, eps));
      DW_TRY(layer.k_norm, loader.rms_norm(block + "attn_k_norm", s.head_dim, eps));
    }
    model->layers_.push_back(std::move(layer));
  }
  DW_TRY(model->head_, OutputHead::load(loader, vocabulary, s.width, eps));
  return std::unique_ptr<Model>(std::move(model));
}

CacheLayout DenseModel::cache_layout(CacheType type) const {
  return layout_of(shape_.layers, attention_, type);
}

void DenseModel::attend(const Layer& layer, std::int64_t index, const Batch& batch, const Rope::Table& angles,
                        float* x, Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t rows = batch.rows(), width = shape_.width, head_dim = attention_.head_dim;
  const std::int64_t q_width = layer.q.rows(), kv_width = layer.k.rows();
  float* h = context.scratch.take<float>(rows * width);     // (rows, width)
  float* q = context.scratch.take<float>(rows * q_width);   // (rows, heads, head_dim)
  float* k = context.scratch.take<float>(rows * kv_width);  // (rows, kv_heads, head_dim)
  float* v = context.scratch.take<float>(rows * kv_width);  // (rows, kv_heads, head_dim)
  layer.attn_norm.apply(x, rows, h, context);
  Input input(h, rows, width, width, context);
  multiply(input, {{&layer.q, q, q_width}, {&layer.k, k, kv_width}, {&layer.v, v, kv_width}}, context);
  if (!layer.q_norm.weight.empty()) {  // head by head
    layer.q_norm.apply(q, rows * attention_.heads, q, context);
    layer.k_norm.apply(k, rows * attention_.kv_heads, k, context);
  }
  const auto rotate = [&](std::int64_t row, int) {
    for (std::int64_t i = 0; i < attention_.heads; ++i)
      rope_.rotate(q + row * q_width + i * head_dim, angles, row);
    for (std::int64_t i = 0; i < attention_.kv_heads; ++i)
      rope_.rotate(k + row * kv_width + i * head_dim, angles, row);
  };
  if (rows < 16)
    for (std::int64_t row = 0; row < rows; ++row) rotate(row, 0);
  else
    context.pool.run(rows, rotate);
  attention_.remember(k, v, batch, index, context);
  float* seen = context.scratch.take<float>(rows * q_width);  // (rows, heads, head_dim)
  attention_.attend(q, batch, index, seen, context);
  Input result(seen, rows, q_width, q_width, context);
  multiply(result, {{&layer.out, x, width, /*accumulate=*/true}}, context);
}

void DenseModel::forward(const Batch& batch, float* logits, Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t rows = batch.rows(), width = shape_.width;
  float* x = context.scratch.take<float>(rows * width);  // (rows, width)
  embedding_.lookup(batch.tokens, x, context);
  const Rope::Table angles = rope_.table(batch.positions, context);
  for (std::int64_t i = 0; i < shape_.layers; ++i) {
    const Layer& layer = layers_[static_cast<std::size_t>(i)];
    context.pause();
    attend(layer, i, batch, angles, x, context);
    const ScratchScope layer_scope(context.scratch);
    float* h = context.scratch.take<float>(rows * width);  // (rows, width)
    layer.ffn_norm.apply(x, rows, h, context);
    layer.ffn.add_to(h, batch.tokens, width, x, context);
  }
  finish_rows(head_, batch, x, width, logits, context);
}

}  // namespace deepwell
