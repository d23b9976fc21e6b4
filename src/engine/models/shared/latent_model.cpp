// SPDX-License-Identifier: Apache-2.0
#include "engine/models/shared/latent_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/kernels/attend.h"
#include "engine/kernels/elementwise.h"
#include "engine/models/shared/feed_forward_config.h"
#include "engine/models/shared/output_head.h"
#include "engine/models/shared/rope_config.h"
#include "engine/models/shared/token_join.h"
#include "engine/nn/expanded_attention.h"
#include "engine/nn/indexer.h"
#include "engine/nn/latent_attention.h"

namespace deepwell {
namespace {

constexpr std::int64_t kMostLayers = 1024, kMostWidth = 1 << 20, kMostHeads = 4096, kMostTokens = 1 << 30;

struct Sizes {
  std::int64_t layers, width, heads, latent, rope, nope, value;
  bool split;                                           // the file has k_b and v_b apart
  std::int64_t index_heads, index_width, index_top;     // of the indexer; 0: none
  bool drafting;                                        // a layer that drafts is behind the last
  std::int64_t entry() const { return latent + rope; }  // of the cache
  std::int64_t query() const { return nope + rope; }    // of one head
};

Result<Sizes> read_sizes(const Loader& loader) {
  Sizes s{};
  DW_TRY(s.layers, loader.integer("block_count", kMostLayers));
  s.layers -= drafting_layers(loader.file());
  s.drafting = loader.drafting();
  DW_TRY(s.width, loader.integer("embedding_length", kMostWidth));
  DW_TRY(s.heads, loader.integer("attention.head_count", kMostHeads));
  DW_TRY(s.latent, loader.integer("attention.kv_lora_rank", kMostWidth));
  DW_TRY(s.rope, loader.integer("rope.dimension_count", kMostWidth));
  s.split = loader.file().metadata().has(loader.key("attention.key_length_mla"));
  DW_TRY(const std::int64_t key,
         loader.integer(s.split ? "attention.key_length_mla" : "attention.key_length", kMostWidth));
  DW_TRY(s.value,
         loader.integer(s.split ? "attention.value_length_mla" : "attention.value_length", kMostWidth));
  s.nope = key - s.rope;
  if (loader.file().metadata().has(loader.key("attention.indexer.top_k"))) {
    DW_TRY(s.index_heads, loader.integer("attention.indexer.head_count", kMostHeads));
    DW_TRY(s.index_width, loader.integer("attention.indexer.key_length", kMostWidth));
    DW_TRY(s.index_top, loader.integer("attention.indexer.top_k", kMostTokens));
    if (s.index_width < s.rope)
      return Error{ErrorCode::kCorrupt,
                   fmt::format("{}: index keys of {} cannot hold {} rotated elements; the file was "
                               "made wrongly",
                               loader.file().path(), s.index_width, s.rope)};
  }
  if (s.nope < 1 || s.rope % 2 != 0)
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: heads of {} with {} rotated elements make no sense; the file was "
                             "made wrongly",
                             loader.file().path(), key, s.rope)};
  return s;
}

Indexer indexer_of(const Sizes& s) {
  Indexer indexer;
  indexer.heads = s.index_heads;
  indexer.width = s.index_width;
  indexer.top_k = s.index_top;
  return indexer;
}

CacheLayout layout_of(const Sizes& s, CacheType type) {
  CacheLayout layout;
  std::vector<StreamSpec> streams = LatentAttention{s.heads, s.entry(), s.latent, 1}.streams();
  if (s.drafting) layout.layers.push_back(streams);  // it reads all entries
  if (s.index_top > 0) streams.push_back(indexer_of(s).spec());
  layout.layers.insert(layout.layers.begin(), static_cast<std::size_t>(s.layers), streams);
  layout.type = type;
  layout.page_tokens = kPageTokens;
  layout.drawn_apart = s.index_top == 0;  // see forward(): prompts are expanded, drawn tokens absorbed
  return layout;
}

struct Layer {
  RmsNormLayer attn_norm, ffn_norm;  // (width) x2
  Linear q;                          // (heads*query, width); empty when the query is low-rank
  Linear q_a, q_b;                   // (q_rank, width), (heads*query, q_rank)
  RmsNormLayer q_a_norm;             // (q_rank)
  Linear kv_a;                       // (latent + rope, width)
  RmsNormLayer kv_a_norm;            // (latent)
  HeadLinear k_b, v_b;               // per head (latent, nope), (value, latent)
  HeadLinear expand_k;               // per head (nope, latent): k_b across
  Linear out;                        // (width, heads*value)
  bool selects = false;              // V3.2: by the indexer, among its keys
  Indexer indexer;
  IndexKeys index_keys;
  FeedForward ffn;
};

class LatentModel final : public Model {
 public:
  static Result<std::unique_ptr<Model>> load(Loader& loader);
  static Result<CacheLayout> layout(const Loader& loader, CacheType type) {
    DW_TRY(const Sizes sizes, read_sizes(loader));
    return layout_of(sizes, type);
  }
  const ModelShape& shape() const override { return shape_; }
  CacheLayout cache_layout(CacheType type) const override { return layout_of(sizes_, type); }
  void forward(const Batch& batch, float* logits, Context& context) const override;
  std::int64_t state_width() const override { return sizes_.drafting ? shape_.width : 0; }
  void draft(const Batch& batch, const float* states, float* next, float* logits,
             Context& context) const override;

 private:
  static Result<Layer> load_layer(Loader& loader, const Sizes& s, std::int64_t index, float eps);
  void add_layer(const Layer& layer, std::int64_t index, const Batch& batch, const Rope::Table& angles,
                 float* x, Context& context) const;
  void attend(const Layer& layer, std::int64_t index, const Batch& batch, const Rope::Table& angles, float* x,
              Context& context) const;
  void attend_absorbed(const Layer& layer, std::int64_t index, const Batch& batch, const Selection& selection,
                       const float* q, float* values, Context& context) const;

  ModelShape shape_;
  Sizes sizes_{};
  LatentAttention attention_{};
  ExpandedAttention expanded_{};
  Rope rope_, index_rope_;  // the same angles over neighbours, and over halves
  Embedding embedding_;
  std::vector<Layer> layers_;
  OutputHead head_;
  TokenJoin join_;  // with the layer that drafts, which comes last
  Layer draft_layer_;
};

/// For each head, (rows, columns) as (columns, rows).
std::vector<float> across(const std::vector<float>& values, std::int64_t heads, std::int64_t rows,
                          std::int64_t columns) {
  std::vector<float> turned(values.size());
  for (std::int64_t h = 0; h < heads; ++h)
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < columns; ++c)
        turned[static_cast<std::size_t>((h * columns + c) * rows + r)] =
            values[static_cast<std::size_t>((h * rows + r) * columns + c)];
  return turned;
}

/// kv_b (heads * (nope + value), latent) as k_b (latent, nope) and v_b (value, latent) for each head.
Status split_kv_b(Loader& loader, const std::string& tensor, const Sizes& s, Layer& layer) {
  DW_TRY(const std::vector<float> whole, loader.floats(tensor, s.heads * (s.nope + s.value), s.latent));
  std::vector<float> k(static_cast<std::size_t>(s.heads * s.nope * s.latent));
  std::vector<float> v(static_cast<std::size_t>(s.heads * s.value * s.latent));
  for (std::int64_t h = 0; h < s.heads; ++h) {
    const float* from = whole.data() + h * (s.nope + s.value) * s.latent;
    std::copy_n(from, s.nope * s.latent, k.data() + h * s.nope * s.latent);
    std::copy_n(from + s.nope * s.latent, s.value * s.latent, v.data() + h * s.value * s.latent);
  }
  layer.expand_k = HeadLinear(loader.pack_rearranged(k, s.heads, s.nope, s.latent, tensor));
  layer.k_b = HeadLinear(
      loader.pack_rearranged(across(k, s.heads, s.nope, s.latent), s.heads, s.latent, s.nope, tensor));
  layer.v_b = HeadLinear(loader.pack_rearranged(std::move(v), s.heads, s.value, s.latent, tensor));
  return Done{};
}

Result<Indexer> load_indexer(Loader& loader, const Sizes& s, const std::string& block) {
  Indexer indexer = indexer_of(s);
  DW_TRY(const std::int64_t rank, loader.integer("attention.q_lora_rank", kMostWidth));
  DW_TRY(indexer.q_b, loader.linear(block + "indexer.attn_q_b", s.index_heads * s.index_width, rank));
  DW_TRY(indexer.weight, loader.linear(block + "indexer.proj", s.index_heads, s.width));
  return indexer;
}

Result<Layer> LatentModel::load_layer(Loader& loader, const Sizes& s, std::int64_t index, float eps) {
  const std::string block = fmt::format("blk.{}.", index);
  Layer layer;
  DW_TRY(layer.attn_norm, loader.rms_norm(block + "attn_norm", s.width, eps));
  DW_TRY(layer.ffn_norm, loader.rms_norm(block + "ffn_norm", s.width, eps));
  if (loader.has(block + "attn_q_a.weight")) {
    DW_TRY(const std::int64_t rank, loader.integer("attention.q_lora_rank", kMostWidth));
    DW_TRY(layer.q_a, loader.linear(block + "attn_q_a", rank, s.width));
    DW_TRY(layer.q_a_norm, loader.rms_norm(block + "attn_q_a_norm", rank, eps));
    DW_TRY(layer.q_b, loader.linear(block + "attn_q_b", s.heads * s.query(), rank));
  } else {
    DW_TRY(layer.q, loader.linear(block + "attn_q", s.heads * s.query(), s.width));
  }
  layer.selects = s.index_top > 0;
  if (layer.selects) {
    DW_TRY(layer.indexer, load_indexer(loader, s, block));
    DW_TRY(layer.index_keys.k, loader.linear(block + "indexer.attn_k", s.index_width, s.width));
    DW_TRY(layer.index_keys.k_scale, loader.vector(block + "indexer.k_norm.weight", s.index_width));
    DW_TRY(layer.index_keys.k_bias, loader.vector(block + "indexer.k_norm.bias", s.index_width));
  }
  DW_TRY(layer.kv_a, loader.linear(block + "attn_kv_a_mqa", s.entry(), s.width));
  DW_TRY(layer.kv_a_norm, loader.rms_norm(block + "attn_kv_a_norm", s.latent, eps));
  if (s.split) {
    DW_TRY(PackedMatrix k_b, loader.stack(block + "attn_k_b.weight", s.heads, s.latent, s.nope));
    DW_TRY(PackedMatrix v_b, loader.stack(block + "attn_v_b.weight", s.heads, s.value, s.latent));
    layer.k_b = HeadLinear(std::move(k_b));
    layer.v_b = HeadLinear(std::move(v_b));
    if (!layer.selects) {
      const std::string tensor = block + "attn_k_b.weight";
      DW_TRY(const std::vector<float> k, loader.floats(tensor, s.heads * s.latent, s.nope));
      layer.expand_k = HeadLinear(
          loader.pack_rearranged(across(k, s.heads, s.latent, s.nope), s.heads, s.nope, s.latent, tensor));
    }
  } else {
    DW_RETURN_IF_ERROR(split_kv_b(loader, block + "attn_kv_b.weight", s, layer));
  }
  DW_TRY(layer.out, loader.linear(block + "attn_output", s.width, s.heads * s.value));
  DW_TRY(layer.ffn, load_feed_forward(loader, block, index, s.width, Router{}));
  return layer;
}

Result<std::unique_ptr<Model>> LatentModel::load(Loader& loader) {
  DW_TRY(const Sizes s, read_sizes(loader));
  DW_TRY(const std::int64_t context, loader.integer("context_length", kMostTokens));
  const std::int64_t vocabulary = vocabulary_of(loader);
  DW_TRY(const double epsilon, loader.number("attention.layer_norm_rms_epsilon", 0, 1, 1e-6));
  const auto eps = static_cast<float>(epsilon);
  auto model = std::make_unique<LatentModel>();
  model->shape_ = {s.layers, s.width, vocabulary, context};
  model->sizes_ = s;
  // YaRN's magnitude goes into the scores, squared, and not into cosine and sine.
  const double factor = loader.number_or("rope.scaling.factor", 1.0);
  DW_TRY(const double log_multiplier, loader.number("rope.scaling.yarn_log_multiplier", 0, 100, 0));
  const double magnitude = factor > 1 ? 1 + log_multiplier * std::log(factor) : 1;
  const auto scale = static_cast<float>(magnitude * magnitude / std::sqrt(static_cast<double>(s.query())));
  model->attention_ = {s.heads, s.entry(), s.latent, scale};
  model->expanded_ = {s.heads, s.nope, s.rope, s.latent, s.value, scale};
  DW_TRY(model->rope_, read_rope(loader, RopeLayout::kPairs, s.rope / 2, {.yarn_magnitude = false}));
  DW_TRY(model->index_rope_, read_rope(loader, RopeLayout::kHalves, s.rope / 2, {.yarn_magnitude = false}));
  DW_TRY(model->embedding_, loader.embedding("token_embd", vocabulary, s.width));
  for (std::int64_t i = 0; i < s.layers; ++i) {
    DW_TRY(Layer layer, load_layer(loader, s, i, eps));
    model->layers_.push_back(std::move(layer));
  }
  DW_TRY(model->head_, OutputHead::load(loader, vocabulary, s.width, eps));
  if (s.drafting) {
    Sizes plain = s;
    plain.index_top = 0;
    DW_TRY(model->draft_layer_, load_layer(loader, plain, s.layers, eps));
    DW_TRY(model->join_, TokenJoin::load(loader, fmt::format("blk.{}.", s.layers), s.width, eps));
  }
  return std::unique_ptr<Model>(std::move(model));
}

void LatentModel::attend(const Layer& layer, std::int64_t index, const Batch& batch,
                         const Rope::Table& angles, float* x, Context& context) const {
  const ScratchScope scope(context.scratch);
  const Sizes& s = sizes_;
  const std::int64_t rows = batch.rows(), heads = s.heads, query = s.query(), entry = s.entry();
  float* h = context.scratch.take<float>(rows * s.width);        // (rows, width)
  float* q = context.scratch.take<float>(rows * heads * query);  // (rows, heads, nope + rope)
  float* kv = context.scratch.take<float>(rows * entry);         // (rows, latent + rope)
  layer.attn_norm.apply(x, rows, h, context);
  Input input(h, rows, s.width, s.width, context);
  Selection selection;
  if (layer.q.empty()) {
    const std::int64_t rank = layer.q_a.rows();
    float* low = context.scratch.take<float>(rows * rank);  // (rows, q_rank)
    multiply(input, {{&layer.q_a, low, rank}, {&layer.kv_a, kv, entry}}, context);
    layer.q_a_norm.apply(low, rows, low, context);
    Input low_input(low, rows, rank, rank, context);
    multiply(low_input, {{&layer.q_b, q, heads * query}}, context);
    if (layer.selects) {
      layer.index_keys.remember(input, batch, index, layer.indexer.stream, index_rope_, angles, context);
      selection = layer.indexer.select(input, low_input, batch, index, index_rope_, angles,
                                       IndexRoom::take(batch, layer.indexer.top_k, 0, context), context);
    }
  } else {
    multiply(input, {{&layer.q, q, heads * query}, {&layer.kv_a, kv, entry}}, context);
  }
  context.pool.run(rows, [&](std::int64_t row, int) {
    static RmsNorm::Fn* const rms_norm = best_kernel<RmsNorm>();
    float* latent = kv + row * entry;
    rms_norm(latent, layer.kv_a_norm.weight.data(), layer.kv_a_norm.eps, s.latent, latent);
    rope_.rotate(latent + s.latent, angles, row);
    for (std::int64_t i = 0; i < heads; ++i)
      rope_.rotate(q + (row * heads + i) * query + s.nope, angles, row);
  });
  attention_.remember(kv, batch, index, context);
  float* values = context.scratch.take<float>(rows * heads * s.value);  // (rows, heads, value)
  // Prompts are expanded, drawn tokens absorbed. Where entries are selected, few are seen by each: absorbed.
  auto* absorbed = context.scratch.take<BatchSequence>(static_cast<std::int64_t>(batch.sequences.size()));
  std::size_t absorbed_count = 0;
  for (const BatchSequence& sequence : batch.sequences) {
    if (sequence.prompt && !layer.selects)
      expanded_.attend(q, layer.expand_k, layer.v_b, batch, sequence, index, values, context);
    else
      absorbed[absorbed_count++] = sequence;
  }
  if (absorbed_count > 0) {
    Batch rest = batch;
    rest.sequences = {absorbed, absorbed_count};
    attend_absorbed(layer, index, rest, selection, q, values, context);
  }
  Input result(values, rows, heads * s.value, heads * s.value, context);
  multiply(result, {{&layer.out, x, s.width, /*accumulate=*/true}}, context);
}

/// The query meets the latents: its plain part goes through k_b, its rotated part stays as it is.
void LatentModel::attend_absorbed(const Layer& layer, std::int64_t index, const Batch& batch,
                                  const Selection& selection, const float* q, float* values,
                                  Context& context) const {
  const ScratchScope scope(context.scratch);
  const Sizes& s = sizes_;
  const std::int64_t rows = batch.rows(), heads = s.heads, query = s.query(), entry = s.entry();
  float* absorbed = context.scratch.take<float>(rows * heads * entry);  // (rows, heads, latent + rope)
  float* seen = context.scratch.take<float>(rows * heads * s.latent);   // (rows, heads, latent)
  const auto for_runs = [&](auto&& body) {                              // of rows of neighbouring sequences
    for (std::size_t i = 0; i < batch.sequences.size();) {
      const std::int64_t first = batch.sequences[i].first;
      std::int64_t end = first;
      while (i < batch.sequences.size() && batch.sequences[i].first == end) end += batch.sequences[i++].count;
      body(first, end - first);
    }
  };
  for_runs([&](std::int64_t first, std::int64_t count) {
    layer.k_b.apply(q + first * heads * query, heads * query, query, count, absorbed + first * heads * entry,
                    heads * entry, entry, context);
    for (std::int64_t i = first * heads; i < (first + count) * heads; ++i)
      std::memcpy(absorbed + i * entry + s.latent, q + i * query + s.nope,
                  static_cast<std::size_t>(s.rope) * sizeof(float));
  });
  if (selection.ids != nullptr)
    attention_.attend_selected(absorbed, batch, index, selection, seen, context);
  else
    attention_.attend(absorbed, batch, index, seen, context);
  for_runs([&](std::int64_t first, std::int64_t count) {
    layer.v_b.apply(seen + first * heads * s.latent, heads * s.latent, s.latent, count,
                    values + first * heads * s.value, heads * s.value, s.value, context);
  });
}

void LatentModel::add_layer(const Layer& layer, std::int64_t index, const Batch& batch,
                            const Rope::Table& angles, float* x, Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t rows = batch.rows(), width = shape_.width;
  float* h = context.scratch.take<float>(rows * width);  // (rows, width)
  attend(layer, index, batch, angles, x, context);
  layer.ffn_norm.apply(x, rows, h, context);
  layer.ffn.add_to(h, batch.tokens, width, x, context);
}

void LatentModel::forward(const Batch& batch, float* logits, Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t rows = batch.rows(), width = shape_.width;
  float* x = context.scratch.take<float>(rows * width);  // (rows, width)
  embedding_.lookup(batch.tokens, x, context);
  const Rope::Table angles = rope_.table(batch.positions, context);
  for (std::int64_t i = 0; i < shape_.layers; ++i) {
    context.pause();
    add_layer(layers_[static_cast<std::size_t>(i)], i, batch, angles, x, context);
  }
  if (batch.draft_states != nullptr) head_.norm.apply(x, rows, batch.draft_states, context);
  finish_rows(head_, batch, x, width, logits, context);
}

void LatentModel::draft(const Batch& batch, const float* states, float* next, float* logits,
                        Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t width = shape_.width;
  float* x = context.scratch.take<float>(batch.rows() * width);  // (rows, width)
  join_.apply(embedding_, batch, states, 1, x, context);
  add_layer(draft_layer_, shape_.layers, batch, rope_.table(batch.positions, context), x, context);
  const float* const last = pick_rows(batch.output_rows, x, width, context.scratch);
  join_.end(head_, last, static_cast<std::int64_t>(batch.output_rows.size()), next, logits, context);
}

}  // namespace

Result<std::unique_ptr<Model>> load_latent_model(Loader& loader) { return LatentModel::load(loader); }

Result<CacheLayout> latent_model_layout(const Loader& loader, CacheType type) {
  return LatentModel::layout(loader, type);
}

}  // namespace deepwell
