// SPDX-License-Identifier: Apache-2.0
// DeepSeek V4 (Flash, Pro): the residual is several streams (hyper-connections); attention over a window of
// vectors that are keys and values, and over compressed entries, of which some layers choose the best by an
// indexer; a grouped output matrix; experts, in the first layers chosen by the token alone.
// Source: transformers' deepseek_v4; golden: tests/golden/engine/models/v4_*.
#include "engine/kernels/elementwise.h"
#include "engine/models/model.h"
#include "engine/models/shared/deepseek4_layer.h"
#include "engine/models/shared/output_head.h"
#include "engine/models/shared/rope_config.h"
#include "engine/models/shared/token_join.h"

#include <fmt/format.h>

#include <algorithm>

namespace deepwell {
namespace {

/// The angles of a step's rows, there and back.
struct Angles {
  const Rope* rope;
  Rope::Table there, back;
};

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
  Angles angles_of(const Rope& rope, const Batch& batch, Context& context) const;
  Step step_of(const Batch& batch, Context& context) const;
  void apply(const Deepseek4Layer& layer, std::int64_t index, const Batch& batch, const Step& step, float* x,
             Context& context) const;
  void attend(const Deepseek4Layer& layer, std::int64_t index, const Batch& batch, const Step& step,
              const float* h, float* out, Context& context) const;

  ModelShape shape_;
  Deepseek4Sizes sizes_{};
  Rope rope_, compressed_rope_;
  RmsNormLayer q_norm_;  // (head_dim) ones
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
  DW_TRY(model->rope_, read_rope(loader, RopeLayout::kPairs, s.rope / 2, {.scaling = false}));
  DW_TRY(model->compressed_rope_,
         read_rope(loader, RopeLayout::kPairs, s.rope / 2,
                   {.yarn_magnitude = false, .base = "attention.compress_rope_freq_base"}));
  model->q_norm_ = {std::vector<float>(static_cast<std::size_t>(s.head_dim), 1.0F), s.eps};
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

Angles Deepseek4::angles_of(const Rope& rope, const Batch& batch, Context& context) const {
  const Rope::Table there = rope.table(batch.positions, context);
  return {&rope, there, Rope::inverse(there, batch.rows(), rope.pairs(), context)};
}

/// Makes a compressor's values and gates of the block's input, and has it take them. What it takes of scratch
/// stays taken: the input may keep some of it.
void compress(const Compressor& compressor, Input& input, const Batch& batch, std::int64_t layer,
              const CompletedBlocks& blocks, const Rope& rope, Context& context) {
  const std::int64_t width = compressor.series() * compressor.width;
  float* values = context.scratch.take<float>(batch.rows() * width);  // (rows, series*width)
  float* gates = context.scratch.take<float>(batch.rows() * width);   // (rows, series*width)
  multiply(input, {{&compressor.value, values, width}, {&compressor.gate, gates, width}}, context);
  compressor.remember(values, gates, batch, layer, blocks, rope, context);
}

void Deepseek4::attend(const Deepseek4Layer& layer, std::int64_t index, const Batch& batch, const Step& step,
                       const float* h, float* out, Context& context) const {
  static RmsNorm::Fn* const rms_norm = best_kernel<RmsNorm>();
  const ScratchScope scope(context.scratch);
  const Deepseek4Sizes& s = sizes_;
  const std::int64_t rows = batch.rows(), heads_width = s.heads * s.head_dim, plain = s.head_dim - s.rope;
  const Angles& angles = layer.ratio == 0 ? step.plain : step.compressed;
  float* low = context.scratch.take<float>(rows * s.q_rank);      // (rows, q_rank)
  float* q = context.scratch.take<float>(rows * heads_width);     // (rows, heads, head_dim)
  float* kv = context.scratch.take<float>(rows * s.head_dim);     // (rows, head_dim)
  float* seen = context.scratch.take<float>(rows * heads_width);  // (rows, heads, head_dim)
  Input input(h, rows, s.width, s.width, context);
  multiply(input, {{&layer.q_a, low, s.q_rank}, {&layer.kv, kv, s.head_dim}}, context);
  layer.q_a_norm.apply(low, rows, low, context);
  Input low_input(low, rows, s.q_rank, s.q_rank, context);
  multiply(low_input, {{&layer.q_b, q, heads_width}}, context);
  context.pool.run(rows, [&](std::int64_t row, int) {
    float* vector = kv + row * s.head_dim;
    rms_norm(vector, layer.kv_norm.weight.data(), layer.kv_norm.eps, s.head_dim, vector);
    angles.rope->rotate(vector + plain, angles.there, row);
    for (std::int64_t i = 0; i < s.heads; ++i) {
      float* head = q + row * heads_width + i * s.head_dim;
      rms_norm(head, q_norm_.weight.data(), q_norm_.eps, s.head_dim, head);
      angles.rope->rotate(head + plain, angles.there, row);
    }
  });
  WindowAttention::Entries entries{layer.compressor.stream, static_cast<int>(layer.ratio), {}};
  if (layer.ratio > 0)
    compress(layer.compressor, input, batch, index,
             layer.ratio == kSelectedRatio ? step.selected : step.whole, compressed_rope_, context);
  if (layer.ratio == kSelectedRatio) {
    compress(layer.index_compressor, input, batch, index, step.selected, compressed_rope_, context);
    entries.selection =
        layer.indexer.select(input, low_input, batch, index, compressed_rope_, angles.there, context);
  }
  layer.attention.attend(q, kv, batch, index, entries, seen, context);
  // The vectors' rotation went into the sum: turned back, it depends on distances only.
  context.pool.run(rows, [&](std::int64_t row, int) {
    for (std::int64_t i = 0; i < s.heads; ++i)
      angles.rope->rotate(seen + row * heads_width + i * s.head_dim + plain, angles.back, row);
  });
  const std::int64_t middle_width = s.groups * s.out_rank;
  float* middle = context.scratch.take<float>(rows * middle_width);  // (rows, groups, out_rank)
  layer.out_a.apply(seen, heads_width, heads_width / s.groups, rows, middle, middle_width, s.out_rank,
                    context);
  Input result(middle, rows, middle_width, middle_width, context);
  multiply(result, {{&layer.out_b, out, s.width}}, context);
}

Deepseek4::Step Deepseek4::step_of(const Batch& batch, Context& context) const {
  return {angles_of(rope_, batch, context), angles_of(compressed_rope_, batch, context),
          CompletedBlocks::find(batch, kSelectedRatio, compressed_rope_, context),
          CompletedBlocks::find(batch, kWholeRatio, compressed_rope_, context)};
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
  embedding_.lookup(batch.tokens, h, context);
  context.pool.run(rows, [&](std::int64_t row, int) {
    for (std::int64_t i = 0; i < streams; ++i)
      std::copy_n(h + row * width, width, x + (row * streams + i) * width);
  });
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
