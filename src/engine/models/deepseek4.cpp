// SPDX-License-Identifier: Apache-2.0
// DeepSeek V4 (Flash, Pro): the residual is several streams (hyper-connections); attention over a window of
// vectors that are keys and values, and over compressed entries, of which some layers choose the best by an
// indexer; a grouped output matrix; experts, in the first layers chosen by the token alone.
// Source: transformers' deepseek_v4; golden: tests/golden/engine/models/v4_*.
#include "engine/models/model.h"
#include "engine/models/shared/deepseek4_layer.h"
#include "engine/models/shared/output_head.h"
#include "engine/models/shared/token_join.h"

#include <fmt/format.h>

#include <algorithm>

namespace deepwell {
namespace {

class Deepseek4 final : public Model {
 public:
  static Result<std::unique_ptr<Model>> load(Loader& loader);
  static Result<CacheLayout> layout(const Loader& loader, CacheType type) {
    DW_TRY(const Deepseek4Sizes sizes, Deepseek4Sizes::read(loader));
    return sizes.layout(type);
  }
  const ModelShape& shape() const override { return shape_; }
  CacheLayout cache_layout(CacheType type) const override { return sizes_.layout(type); }
  void forward(const Batch& batch, float* logits, Context& context) const override;
  std::int64_t state_width() const override { return sizes_.drafting ? sizes_.streams * sizes_.width : 0; }
  void draft(const Batch& batch, const float* states, float* next, float* logits,
             Context& context) const override;

 private:
  /// What the layers of a step share.
  struct Step {
    Angles plain, compressed;         // of layers without and with compression
    CompletedBlocks selected, whole;  // blocks of either size
  };
  Step step_of(const Batch& batch, Context& context) const;
  void apply(const Deepseek4Layer& layer, std::int64_t index, const Batch& batch, const Step& step, float* x,
             Context& context) const;
  void attend(const Deepseek4Layer& layer, std::int64_t index, const Batch& batch, const Step& step,
              const float* h, float* out, Context& context) const;

  ModelShape shape_;
  Deepseek4Sizes sizes_{};
  WindowRopes ropes_;
  Embedding embedding_;
  std::vector<Deepseek4Layer> layers_;
  HyperHead streams_end_;
  OutputHead head_;
  TokenJoin join_;  // with the layer that drafts, which comes last
  Deepseek4Layer draft_layer_;
  HyperHead draft_streams_end_;
};

Result<std::unique_ptr<Model>> Deepseek4::load(Loader& loader) {
  DW_TRY(Deepseek4Sizes s, Deepseek4Sizes::read(loader));
  DW_TRY(const std::int64_t context, loader.integer("context_length", 1 << 30));
  const std::int64_t vocabulary = vocabulary_of(loader);
  auto model = std::make_unique<Deepseek4>();
  model->shape_ = {s.layers, s.width, vocabulary, context};
  DW_TRY(model->ropes_, WindowRopes::read(loader, s.rope / 2));
  DW_TRY(model->embedding_, loader.embedding("token_embd", vocabulary, s.width));
  for (std::int64_t i = 0; i < s.layers; ++i) {
    DW_TRY(Deepseek4Layer layer, Deepseek4Layer::load(loader, s, i));
    model->layers_.push_back(std::move(layer));
  }
  DW_TRY(model->streams_end_, load_streams_end(loader, "output_hc", s));
  DW_TRY(model->head_, OutputHead::load(loader, vocabulary, s.width, s.eps));
  if (s.drafting) {
    const std::string block = fmt::format("blk.{}.", s.layers);
    DW_TRY(model->draft_layer_, Deepseek4Layer::load(loader, s, s.layers));
    DW_TRY(model->join_, TokenJoin::load(loader, block, s.width, s.eps));
    const bool own = loader.has(block + "nextn.output_hc_fn.weight");
    DW_TRY(model->draft_streams_end_,
           load_streams_end(loader, own ? block + "nextn.output_hc" : "output_hc", s));
  }
  model->sizes_ = std::move(s);
  return std::unique_ptr<Model>(std::move(model));
}

void Deepseek4::attend(const Deepseek4Layer& layer, std::int64_t index, const Batch& batch, const Step& step,
                       const float* h, float* out, Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t rows = batch.rows();
  const Angles& angles = layer.ratio == 0 ? step.plain : step.compressed;
  WindowLayer::Query query = layer.query(h, rows, angles, context);
  WindowAttention::Entries entries{index, layer.compressor.stream, static_cast<int>(layer.ratio)};
  if (layer.ratio > 0)
    compress(layer.compressor, query.input, batch, index,
             layer.ratio == kSelectedRatio ? step.selected : step.whole, ropes_.compressed, context);
  if (layer.ratio == kSelectedRatio) {
    compress(layer.index_compressor, query.input, batch, index, step.selected, ropes_.compressed, context);
    entries.selection =
        layer.indexer.select(query.input, query.low, batch, index, ropes_.compressed, angles.there,
                             IndexRoom::take(batch, layer.indexer.top_k, 0, context), context);
  }
  float* seen =
      context.scratch.take<float>(rows * sizes_.heads * sizes_.head_dim);  // (rows, heads, head_dim)
  layer.attention.attend(query.q, query.kv, batch, index, entries, seen, context);
  layer.finish(seen, rows, angles, out, context);
}

Deepseek4::Step Deepseek4::step_of(const Batch& batch, Context& context) const {
  return {Angles::of(ropes_.plain, batch, context), Angles::of(ropes_.compressed, batch, context),
          CompletedBlocks::find(batch, kSelectedRatio, ropes_.compressed, context),
          CompletedBlocks::find(batch, kWholeRatio, ropes_.compressed, context)};
}

void Deepseek4::apply(const Deepseek4Layer& layer, std::int64_t index, const Batch& batch, const Step& step,
                      float* x, Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t rows = batch.rows(), width = sizes_.width, streams = sizes_.streams;
  float* h = context.scratch.take<float>(rows * width);    // (rows, width)
  float* out = context.scratch.take<float>(rows * width);  // (rows, width)
  float* coefficients = context.scratch.take<float>(rows * (2 + streams) * streams);
  layer.attn_streams.collapse(x, rows, h, coefficients, context);
  layer.attn_norm.apply(h, rows, h, context);
  attend(layer, index, batch, step, h, out, context);
  layer.attn_streams.merge(out, coefficients, rows, x, context);
  layer.ffn_streams.collapse(x, rows, h, coefficients, context);
  layer.ffn_norm.apply(h, rows, h, context);
  std::fill_n(out, rows * width, 0.0F);
  layer.ffn.add_to(h, batch.tokens, width, out, context);
  layer.ffn_streams.merge(out, coefficients, rows, x, context);
}

void Deepseek4::forward(const Batch& batch, float* logits, Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t rows = batch.rows(), width = sizes_.width, streams = sizes_.streams;
  float* x = context.scratch.take<float>(rows * streams * width);  // (rows, streams, width)
  float* h = context.scratch.take<float>(rows * width);            // (rows, width)
  start_streams(embedding_, batch, streams, h, x, context);
  const Step step = step_of(batch, context);
  for (std::int64_t i = 0; i < shape_.layers; ++i) {
    context.pause();
    apply(layers_[static_cast<std::size_t>(i)], i, batch, step, x, context);
  }
  if (batch.draft_states != nullptr) std::copy_n(x, rows * streams * width, batch.draft_states);
  const auto collapse = [&](std::span<const std::int32_t> rows_wanted) {
    const float* const picked = pick_rows(rows_wanted, x, streams * width, context.scratch);
    const auto count = static_cast<std::int64_t>(rows_wanted.size());
    if (count > 0) streams_end_.collapse(picked, count, h, context);
    return count;
  };
  head_.states(h, collapse(batch.state_rows), batch.states, context);
  head_.apply(h, collapse(batch.output_rows), logits, context);
}

void Deepseek4::draft(const Batch& batch, const float* states, float* next, float* logits,
                      Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t rows = batch.rows(), width = sizes_.width, streams = sizes_.streams;
  float* x = context.scratch.take<float>(rows * streams * width);  // (rows, streams, width)
  join_.apply(embedding_, batch, states, streams, x, context);
  apply(draft_layer_, shape_.layers, batch, step_of(batch, context), x, context);
  const auto outputs = static_cast<std::int64_t>(batch.output_rows.size());
  if (outputs == 0) return;
  const float* const last = pick_rows(batch.output_rows, x, streams * width, context.scratch);
  std::copy_n(last, outputs * streams * width, next);
  float* h = context.scratch.take<float>(outputs * width);       // (outputs, width)
  float* normed = context.scratch.take<float>(outputs * width);  // (outputs, width)
  draft_streams_end_.collapse(last, outputs, h, context);
  join_.end(head_, h, outputs, normed, logits, context);
}

}  // namespace

Architecture architecture_deepseek4() {
  return {.name = "deepseek4", .load = Deepseek4::load, .layout = Deepseek4::layout, .drafts = true};
}

}  // namespace deepwell
