// SPDX-License-Identifier: Apache-2.0
// DeepSeek V4.1 (Flash). Unlike V4: few layers make compressed entries, and those after them read the same
// ones; some of these select, and those after them see the same selection, at last from blocks that one layer
// kept; a block reads the streams by the weights of the block before it; and before some layers Engram looks
// the latest tokens up in large tables. Source: docs/deepseek-v4.1.md; golden:
// tests/golden/engine/models/deepseek41_*.
#include "engine/models/model.h"
#include "engine/models/shared/deepseek41_layer.h"
#include "engine/models/shared/output_head.h"

#include <algorithm>

namespace deepwell {
namespace {

class Deepseek41 final : public Model {
 public:
  static Result<std::unique_ptr<Model>> load(Loader& loader);
  static Result<CacheLayout> layout(const Loader& loader, CacheType type) {
    DW_TRY(const Deepseek41Sizes sizes, Deepseek41Sizes::read(loader));
    return sizes.layout(type);
  }
  const ModelShape& shape() const override { return shape_; }
  CacheLayout cache_layout(CacheType type) const override { return sizes_.layout(type); }
  void forward(const Batch& batch, float* logits, Context& context) const override;

 private:
  /// What the layers of a step share.
  struct Step {
    Angles plain, compressed;       // of layers without and with entries
    CompletedBlocks pairs, tokens;  // of either ratio
    IndexRoom room;                 // of the layer that selected last
    Selection selection;            // its choice, for those after it
    float *of_attention, *of_ffn;   // (rows, coefficients) of the last blocks of either kind
  };
  Step start(const Batch& batch, Context& context) const;
  void apply(const Deepseek41Layer& layer, std::int64_t index, const Batch& batch, Step& step, float* x,
             Context& context) const;
  void attend(const Deepseek41Layer& layer, std::int64_t index, const Batch& batch, Step& step,
              const float* h, float* out, Context& context) const;
  void remember(const Deepseek41Layer& layer, std::int64_t index, const Batch& batch, const Step& step,
                Input& input, Context& context) const;

  ModelShape shape_;
  Deepseek41Sizes sizes_{};
  WindowRopes ropes_;
  Embedding embedding_;
  std::vector<Deepseek41Layer> layers_;
  OutputHead head_;
};

Result<std::unique_ptr<Model>> Deepseek41::load(Loader& loader) {
  DW_TRY(Deepseek41Sizes s, Deepseek41Sizes::read(loader));
  DW_TRY(const std::int64_t context, loader.integer("context_length", 1 << 30));
  const std::int64_t vocabulary = vocabulary_of(loader);
  DW_TRY(const EngramConfig engrams, EngramConfig::read(loader, s.layers, vocabulary));
  auto model = std::make_unique<Deepseek41>();
  model->shape_ = {s.layers, s.width, vocabulary, context};
  DW_TRY(model->ropes_, WindowRopes::read(loader, s.rope / 2));
  DW_TRY(model->embedding_, loader.embedding("token_embd", vocabulary, s.width));
  for (std::int64_t i = 0; i < s.layers; ++i) {
    DW_TRY(Deepseek41Layer layer, Deepseek41Layer::load(loader, s, engrams, i));
    model->layers_.push_back(std::move(layer));
  }
  DW_TRY(model->head_, OutputHead::load(loader, vocabulary, s.width, s.eps));
  model->sizes_ = std::move(s);
  return std::unique_ptr<Model>(std::move(model));
}

/// Puts the rows' entries and their index keys into the cache.
void Deepseek41::remember(const Deepseek41Layer& layer, std::int64_t index, const Batch& batch,
                          const Step& step, Input& input, Context& context) const {
  const CompletedBlocks& blocks = layer.ratio == kPairRatio ? step.pairs : step.tokens;
  float* latents = context.scratch.take<float>(blocks.count * sizes_.head_dim);  // (blocks, head_dim)
  compress(layer.compressor, input, batch, index, blocks, ropes_.compressed, context, latents);
  layer.index_keys.remember(latents, batch, index, sizes_.indexer(layer.ratio).stream, blocks,
                            ropes_.compressed, context);
}

void Deepseek41::attend(const Deepseek41Layer& layer, std::int64_t index, const Batch& batch, Step& step,
                        const float* h, float* out, Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t rows = batch.rows();
  const Angles& angles = layer.ratio == 0 ? step.plain : step.compressed;
  WindowLayer::Query query = layer.query(h, rows, angles, context);
  const std::int64_t owner = layer.shared.owner;
  if (owner == index) remember(layer, index, batch, step, query.input, context);
  if (layer.shared.selects)
    step.selection = layer.indexer.select(query.input, query.low, batch, owner, ropes_.compressed,
                                          angles.there, step.room, context);
  WindowAttention::Entries entries;
  if (owner >= 0) entries = {owner, 0, static_cast<int>(layer.ratio), step.selection};
  float* seen =
      context.scratch.take<float>(rows * sizes_.heads * sizes_.head_dim);  // (rows, heads, head_dim)
  layer.attention.attend(query.q, query.kv, batch, index, entries, seen, context);
  layer.finish(seen, rows, angles, out, context);
}

void Deepseek41::apply(const Deepseek41Layer& layer, std::int64_t index, const Batch& batch, Step& step,
                       float* x, Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t rows = batch.rows(), width = sizes_.width;
  float* h = context.scratch.take<float>(rows * width);    // (rows, width)
  float* out = context.scratch.take<float>(rows * width);  // (rows, width)
  layer.attn_streams.collapse(x, rows, h, step.of_attention, context, step.of_ffn);
  layer.attn_norm.apply(h, rows, h, context);
  attend(layer, index, batch, step, h, out, context);
  layer.attn_streams.merge(out, step.of_attention, rows, x, context);
  layer.ffn_streams.collapse(x, rows, h, step.of_ffn, context, step.of_attention);
  layer.ffn_norm.apply(h, rows, h, context);
  std::fill_n(out, rows * width, 0.0F);
  layer.ffn.add_to(h, batch.tokens, width, out, context);
  layer.ffn_streams.merge(out, step.of_ffn, rows, x, context);
}

Deepseek41::Step Deepseek41::start(const Batch& batch, Context& context) const {
  const std::int64_t rows = batch.rows(), count = layers_.front().ffn_streams.coefficients();
  Step step{Angles::of(ropes_.plain, batch, context),
            Angles::of(ropes_.compressed, batch, context),
            CompletedBlocks::find(batch, kPairRatio, ropes_.compressed, context),
            CompletedBlocks::find(batch, kTokenRatio, ropes_.compressed, context),
            IndexRoom::take(batch, sizes_.index_top, sizes_.blocks.most, context),
            {},
            context.scratch.take<float>(rows * count),
            context.scratch.take<float>(rows * count)};
  // The first block reads the first stream alone.
  std::fill_n(step.of_ffn, rows * count, 0.0F);
  for (std::int64_t row = 0; row < rows; ++row) step.of_ffn[row * count] = 1;
  return step;
}

void Deepseek41::forward(const Batch& batch, float* logits, Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t rows = batch.rows(), width = sizes_.width, streams = sizes_.streams;
  // Where the tokens' runs are in the tables: looked up first, as the tables may still be on disk.
  auto** places = context.scratch.take<const std::int32_t*>(shape_.layers);
  if (sizes_.runs.length > 0) {
    const std::int32_t* runs = sizes_.runs.take(batch, context);
    for (std::int64_t i = 0; i < shape_.layers; ++i)
      if (const Engram& engram = layers_[static_cast<std::size_t>(i)].engram; engram.length > 0)
        places[i] = engram.find(runs, rows, context);
  }
  float* x = context.scratch.take<float>(rows * streams * width);  // (rows, streams, width)
  float* h = context.scratch.take<float>(rows * width);            // (rows, width)
  start_streams(embedding_, batch, streams, h, x, context);
  Step step = start(batch, context);
  for (std::int64_t i = 0; i < shape_.layers; ++i) {
    const Deepseek41Layer& layer = layers_[static_cast<std::size_t>(i)];
    context.pause();
    if (layer.engram.length > 0) layer.engram.add_to(places[i], rows, x, context);
    apply(layer, i, batch, step, x, context);
  }
  const auto collapse = [&](std::span<const std::int32_t> wanted) {
    const std::int64_t stride = layers_.back().ffn_streams.coefficients();
    const float* const picked = pick_rows(wanted, x, streams * width, context.scratch);
    const float* const weights = pick_rows(wanted, step.of_ffn, stride, context.scratch);
    weigh_streams(picked, weights, stride, std::ssize(wanted), streams, width, h, context);
    return std::ssize(wanted);
  };
  head_.states(h, collapse(batch.state_rows), batch.states, context);
  head_.apply(h, collapse(batch.output_rows), logits, context);
}

}  // namespace

Architecture architecture_deepseek41() {
  return {.name = "deepseek41", .load = Deepseek41::load, .layout = Deepseek41::layout};
}

}  // namespace deepwell
