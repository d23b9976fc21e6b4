// SPDX-License-Identifier: Apache-2.0
#include "engine/models/shared/window_layer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "engine/kernels/elementwise.h"
#include "engine/models/shared/feed_forward_config.h"
#include "engine/models/shared/rope_config.h"

namespace deepwell {
namespace {

constexpr std::int64_t kMostLayers = 1024, kMostWidth = 1 << 20, kMostHeads = 4096, kMostTokens = 1 << 30;
constexpr std::int64_t kMostWindow = 1 << 13, kMostIterations = 1000;

Result<HyperConnection> load_streams(Loader& loader, const std::string& tensor, const WindowSizes& s) {
  HyperConnection h;
  h.streams = s.streams;
  h.iterations = static_cast<int>(s.iterations);
  h.eps = s.hyper_eps;
  h.norm_eps = s.eps;
  DW_TRY(h.project, loader.linear(tensor + "_fn", h.coefficients(), s.streams * s.width));
  DW_TRY(h.base, loader.vector(tensor + "_base.weight", h.coefficients()));
  DW_TRY(h.scale, loader.vector(tensor + "_scale.weight", 3));
  return h;
}

}  // namespace

Error wrong_file(const Loader& loader, const std::string& what) {
  return Error{ErrorCode::kCorrupt, fmt::format("{}: {}; the file was made wrongly or for a newer version",
                                                loader.file().path(), what)};
}

Status WindowSizes::read(const Loader& loader, std::initializer_list<std::int64_t> known) {
  DW_TRY(layers, loader.integer("block_count", kMostLayers));
  layers -= drafting_layers(loader.file());
  DW_TRY(width, loader.integer("embedding_length", kMostWidth));
  DW_TRY(heads, loader.integer("attention.head_count", kMostHeads));
  DW_TRY(head_dim, loader.integer("attention.key_length", kMostWidth));
  DW_TRY(rope, loader.integer("rope.dimension_count", head_dim));
  DW_TRY(q_rank, loader.integer("attention.q_lora_rank", kMostWidth));
  DW_TRY(groups, loader.integer("attention.output_group_count", heads));
  DW_TRY(out_rank, loader.integer("attention.output_lora_rank", kMostWidth));
  DW_TRY(window, loader.integer("attention.sliding_window", kMostWindow));
  DW_TRY(streams, loader.integer("hyper_connection.count", HyperConnection::kMostStreams));
  DW_TRY(iterations, loader.integer("hyper_connection.sinkhorn_iterations", kMostIterations));
  DW_TRY(const double stream_epsilon, loader.number("hyper_connection.epsilon", 0, 1, 1e-6));
  DW_TRY(const double epsilon, loader.number("attention.layer_norm_rms_epsilon", 0, 1, 1e-6));
  hyper_eps = static_cast<float>(stream_epsilon);
  eps = static_cast<float>(epsilon);
  ratios = loader.file().metadata().integers(loader.key("attention.compress_ratios"));
  if (std::ssize(ratios) < layers)
    return wrong_file(
        loader, fmt::format("attention.compress_ratios has {} numbers for {} layers", ratios.size(), layers));
  ratios.resize(static_cast<std::size_t>(layers));
  for (const std::int64_t ratio : ratios)
    if (ratio != 0 && std::find(known.begin(), known.end(), ratio) == known.end())
      return Error{ErrorCode::kUnsupported,
                   fmt::format("{}: a layer compresses {} tokens to one; this version knows {}",
                               loader.file().path(), ratio, fmt::join(known, " and "))};
  if (rope % 2 != 0)
    return wrong_file(loader, fmt::format("heads of {} cannot have {} rotated elements", head_dim, rope));
  if (heads % groups != 0)
    return wrong_file(loader, fmt::format("{} heads do not make {} equal groups", heads, groups));
  return Done{};
}

Status WindowSizes::read_indexer(const Loader& loader) {
  DW_TRY(index_heads, loader.integer("attention.indexer.head_count", kMostHeads));
  DW_TRY(index_width, loader.integer("attention.indexer.key_length", kMostWidth));
  DW_TRY(index_top, loader.integer("attention.indexer.top_k", kMostTokens));
  if (index_width < rope)
    return wrong_file(loader,
                      fmt::format("index keys of {} cannot have {} rotated elements", index_width, rope));
  return Done{};
}

WindowAttention WindowSizes::attention() const {
  WindowAttention a;
  a.heads = heads;
  a.width = head_dim;
  a.window = window;
  a.scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
  return a;
}

Compressor WindowSizes::compressor(std::int64_t ratio) const {
  Compressor c;
  c.width = head_dim;
  c.stream = 0;
  c.rolling = 1;
  c.block_tokens = static_cast<int>(ratio);
  return c;
}

Indexer WindowSizes::indexer(std::int64_t ratio) const {
  Indexer i;
  i.heads = index_heads;
  i.width = index_width;
  i.top_k = index_top;
  i.stream = 1;
  i.tokens_per_entry = static_cast<int>(ratio);
  i.rotated_from = index_width - rope;
  return i;
}

Angles Angles::of(const Rope& rope, const Batch& batch, Context& context) {
  const Rope::Table there = rope.table(batch.positions, context);
  return {&rope, there, Rope::inverse(there, batch.rows(), rope.pairs(), context)};
}

Result<WindowRopes> WindowRopes::read(Loader& loader, std::int64_t pairs) {
  WindowRopes ropes;
  DW_TRY(ropes.plain, read_rope(loader, RopeLayout::kPairs, pairs, {.scaling = false}));
  DW_TRY(ropes.compressed, read_rope(loader, RopeLayout::kPairs, pairs,
                                     {.yarn_magnitude = false, .base = "attention.compress_rope_freq_base"}));
  return ropes;
}

Status WindowLayer::load(Loader& loader, const WindowSizes& s, std::int64_t index) {
  const std::string block = fmt::format("blk.{}.", index);
  DW_TRY(attn_streams, load_streams(loader, block + "hc_attn", s));
  DW_TRY(ffn_streams, load_streams(loader, block + "hc_ffn", s));
  DW_TRY(attn_norm, loader.rms_norm(block + "attn_norm", s.width, s.eps));
  DW_TRY(ffn_norm, loader.rms_norm(block + "ffn_norm", s.width, s.eps));
  DW_TRY(q_a, loader.linear(block + "attn_q_a", s.q_rank, s.width));
  DW_TRY(q_a_norm, loader.rms_norm(block + "attn_q_a_norm", s.q_rank, s.eps));
  DW_TRY(q_b, loader.linear(block + "attn_q_b", s.heads * s.head_dim, s.q_rank));
  DW_TRY(kv, loader.linear(block + "attn_kv", s.head_dim, s.width));
  DW_TRY(kv_norm, loader.rms_norm(block + "attn_kv_a_norm", s.head_dim, s.eps));
  attention = s.attention();
  DW_TRY(attention.sinks, loader.vector(block + "attn_sinks.weight", s.heads));
  DW_TRY(PackedMatrix first,
         loader.stack(block + "attn_output_a.weight", s.groups, s.out_rank, s.heads / s.groups * s.head_dim));
  out_a = HeadLinear(std::move(first));
  DW_TRY(out_b, loader.linear(block + "attn_output_b", s.width, s.groups * s.out_rank));
  Router defaults;
  defaults.score = Router::Score::kSqrtSoftplus;
  defaults.normalize = true;
  DW_TRY(ffn, load_feed_forward(loader, block, index, s.width, defaults));
  return Done{};
}

WindowLayer::Query WindowLayer::query(const float* h, std::int64_t rows, const Angles& angles,
                                      Context& context) const {
  static RmsNorm::Fn* const rms_norm = best_kernel<RmsNorm>();
  const std::int64_t width = q_a.k(), rank = q_b.k(), head = attention.width, heads = attention.heads;
  const std::int64_t plain = head - 2 * angles.rope->pairs();
  float* low = context.scratch.take<float>(rows * rank);        // (rows, q_rank)
  float* q = context.scratch.take<float>(rows * heads * head);  // (rows, heads, head_dim)
  float* vectors = context.scratch.take<float>(rows * head);    // (rows, head_dim)
  Query query{Input(h, rows, width, width, context), Input(low, rows, rank, rank, context), q, vectors};
  multiply(query.input, {{&q_a, low, rank}, {&kv, vectors, head}}, context);
  q_a_norm.apply(low, rows, low, context);
  multiply(query.low, {{&q_b, q, heads * head}}, context);
  context.pool.run(rows, [&](std::int64_t row, int) {
    float* vector = vectors + row * head;
    rms_norm(vector, kv_norm.weight.data(), kv_norm.eps, head, vector);
    angles.rope->rotate(vector + plain, angles.there, row);
    for (std::int64_t i = 0; i < heads; ++i) {
      float* of_head = q + (row * heads + i) * head;
      if (!q_norm.weight.empty()) rms_norm(of_head, q_norm.weight.data(), q_norm.eps, head, of_head);
      angles.rope->rotate(of_head + plain, angles.there, row);
    }
  });
  return query;
}

// The vectors' rotation went into the sum: turned back, it depends on distances only.
void WindowLayer::finish(float* seen, std::int64_t rows, const Angles& angles, float* out,
                         Context& context) const {
  const std::int64_t head = attention.width, heads = attention.heads;
  const std::int64_t plain = head - 2 * angles.rope->pairs();
  context.pool.run(rows, [&](std::int64_t row, int) {
    for (std::int64_t i = 0; i < heads; ++i)
      angles.rope->rotate(seen + (row * heads + i) * head + plain, angles.back, row);
  });
  const std::int64_t middle_width = out_b.k();
  float* middle = context.scratch.take<float>(rows * middle_width);  // (rows, groups, out_rank)
  out_a.apply(seen, heads * head, out_a.k(), rows, middle, middle_width, out_a.rows(), context);
  Input result(middle, rows, middle_width, middle_width, context);
  multiply(result, {{&out_b, out, out_b.rows()}}, context);
}

void compress(const Compressor& compressor, Input& input, const Batch& batch, std::int64_t layer,
              const CompletedBlocks& blocks, const Rope& rope, Context& context, float* latents) {
  const std::int64_t width = compressor.series() * compressor.width;
  float* values = context.scratch.take<float>(batch.rows() * width);  // (rows, series*width)
  float* gates = nullptr;                                             // the same; of one token there are none
  if (compressor.block_tokens == 1) {
    multiply(input, {{&compressor.value, values, width}}, context);
  } else {
    gates = context.scratch.take<float>(batch.rows() * width);
    multiply(input, {{&compressor.value, values, width}, {&compressor.gate, gates, width}}, context);
  }
  compressor.remember(values, gates, batch, layer, blocks, rope, context, latents);
}

void start_streams(const Embedding& table, const Batch& batch, std::int64_t streams, float* h, float* x,
                   Context& context) {
  const std::int64_t width = table.width();
  table.lookup(batch.tokens, h, context);
  context.pool.run(batch.rows(), [&](std::int64_t row, int) {
    for (std::int64_t i = 0; i < streams; ++i)
      std::copy_n(h + row * width, width, x + (row * streams + i) * width);
  });
}

}  // namespace deepwell
