// SPDX-License-Identifier: Apache-2.0
#include "engine/models/shared/deepseek4_layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/kernels/attend.h"
#include "engine/models/shared/feed_forward_config.h"

namespace deepwell {
namespace {

constexpr std::int64_t kMostLayers = 1024, kMostWidth = 1 << 20, kMostHeads = 4096, kMostTokens = 1 << 30;
constexpr std::int64_t kMostWindow = 1 << 13, kMostIterations = 1000;
constexpr std::int64_t kMostDrafted = 64;  // tokens at once, as --draft-tokens says

Error wrong(const Loader& loader, const std::string& what) {
  return Error{ErrorCode::kCorrupt, fmt::format("{}: {}; the file was made wrongly or for a newer version",
                                                loader.file().path(), what)};
}

Status read_ratios(const Loader& loader, Deepseek4Sizes& s) {
  s.ratios = loader.file().metadata().integers(loader.key("attention.compress_ratios"));
  if (static_cast<std::int64_t>(s.ratios.size()) < s.layers)
    return wrong(loader, fmt::format("attention.compress_ratios has {} numbers for {} layers",
                                     s.ratios.size(), s.layers));
  s.ratios.resize(static_cast<std::size_t>(s.layers));
  if (s.drafting) s.ratios.push_back(0);
  for (const std::int64_t ratio : s.ratios)
    if (ratio != 0 && ratio != kSelectedRatio && ratio != kWholeRatio)
      return Error{ErrorCode::kUnsupported,
                   fmt::format("{}: a layer compresses {} tokens to one; this version knows {} and {}",
                               loader.file().path(), ratio, kSelectedRatio, kWholeRatio)};
  return Done{};
}

Result<Compressor> load_compressor(Loader& loader, const std::string& tensor, Compressor c,
                                   const Deepseek4Sizes& s) {
  DW_TRY(c.value, loader.linear(tensor + "_kv", c.series() * c.width, s.width));
  DW_TRY(c.gate, loader.linear(tensor + "_gate", c.series() * c.width, s.width));
  DW_TRY(c.bias, loader.floats(tensor + "_ape.weight", c.block_tokens, c.series() * c.width));
  DW_TRY(c.norm, loader.rms_norm(tensor + "_norm", c.width, s.eps));
  return c;
}

Result<HyperConnection> load_streams(Loader& loader, const std::string& tensor, const Deepseek4Sizes& s) {
  HyperConnection h;
  h.streams = s.streams;
  h.iterations = static_cast<int>(s.iterations);
  h.eps = s.hyper_eps;
  h.norm_eps = s.eps;
  const std::int64_t count = (2 + s.streams) * s.streams;
  DW_TRY(h.project, loader.linear(tensor + "_fn", count, s.streams * s.width));
  DW_TRY(h.base, loader.vector(tensor + "_base.weight", count));
  DW_TRY(h.scale, loader.vector(tensor + "_scale.weight", 3));
  return h;
}

}  // namespace

Result<HyperHead> load_streams_end(Loader& loader, const std::string& tensor, const Deepseek4Sizes& s) {
  HyperHead end;
  end.streams = s.streams;
  end.eps = s.hyper_eps;
  end.norm_eps = s.eps;
  DW_TRY(end.project, loader.linear(tensor + "_fn", s.streams, s.streams * s.width));
  DW_TRY(end.base, loader.vector(tensor + "_base.weight", s.streams));
  DW_TRY(end.scale, loader.vector(tensor + "_scale.weight", 1));
  return end;
}

Result<Deepseek4Sizes> Deepseek4Sizes::read(const Loader& loader) {
  Deepseek4Sizes s{};
  DW_TRY(s.layers, loader.integer("block_count", kMostLayers));
  s.layers -= drafting_layers(loader.file());
  s.drafting = loader.drafting();
  DW_TRY(s.width, loader.integer("embedding_length", kMostWidth));
  DW_TRY(s.heads, loader.integer("attention.head_count", kMostHeads));
  DW_TRY(s.head_dim, loader.integer("attention.key_length", kMostWidth));
  DW_TRY(s.rope, loader.integer("rope.dimension_count", s.head_dim));
  DW_TRY(s.q_rank, loader.integer("attention.q_lora_rank", kMostWidth));
  DW_TRY(s.groups, loader.integer("attention.output_group_count", s.heads));
  DW_TRY(s.out_rank, loader.integer("attention.output_lora_rank", kMostWidth));
  DW_TRY(s.window, loader.integer("attention.sliding_window", kMostWindow));
  DW_TRY(s.streams, loader.integer("hyper_connection.count", HyperConnection::kMostStreams));
  DW_TRY(s.iterations, loader.integer("hyper_connection.sinkhorn_iterations", kMostIterations));
  DW_TRY(const double hyper_eps, loader.number("hyper_connection.epsilon", 0, 1, 1e-6));
  DW_TRY(const double eps, loader.number("attention.layer_norm_rms_epsilon", 0, 1, 1e-6));
  s.hyper_eps = static_cast<float>(hyper_eps);
  s.eps = static_cast<float>(eps);
  DW_RETURN_IF_ERROR(read_ratios(loader, s));
  if (std::count(s.ratios.begin(), s.ratios.end(), kSelectedRatio) > 0) {
    DW_TRY(s.index_heads, loader.integer("attention.indexer.head_count", kMostHeads));
    DW_TRY(s.index_width, loader.integer("attention.indexer.key_length", kMostWidth));
    DW_TRY(s.index_top, loader.integer("attention.indexer.top_k", kMostTokens));
  }
  if (s.rope % 2 != 0 || (s.index_heads > 0 && s.index_width < s.rope))
    return wrong(loader, fmt::format("heads of {} and index keys of {} cannot have {} rotated elements",
                                     s.head_dim, s.index_width, s.rope));
  if (s.heads % s.groups != 0)
    return wrong(loader, fmt::format("{} heads do not make {} equal groups", s.heads, s.groups));
  return s;
}

WindowAttention Deepseek4Sizes::attention(std::int64_t layer) const {
  WindowAttention a;
  if (layer >= layers) a.spare = kMostDrafted;
  a.heads = heads;
  a.width = head_dim;
  a.window = window;
  a.scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
  return a;
}

Compressor Deepseek4Sizes::compressor(std::int64_t ratio) const {
  Compressor c;
  c.width = head_dim;
  c.stream = 0;
  c.rolling = 1;
  c.block_tokens = static_cast<int>(ratio);
  c.overlaps = ratio == kSelectedRatio;
  return c;
}

Compressor Deepseek4Sizes::index_compressor() const {
  Compressor c = compressor(kSelectedRatio);
  c.width = index_width;
  c.stream = 1;
  c.rolling = 2;
  return c;
}

Indexer Deepseek4Sizes::indexer() const {
  Indexer i;
  i.heads = index_heads;
  i.width = index_width;
  i.top_k = index_top;
  i.stream = 1;
  i.tokens_per_entry = kSelectedRatio;
  i.rotated_from = index_width - rope;
  return i;
}

CacheLayout Deepseek4Sizes::layout(CacheType type) const {
  CacheLayout layout;
  for (const std::int64_t ratio : ratios) {
    std::vector<StreamSpec>& streams_here = layout.layers.emplace_back();
    std::vector<RollingSpec>& rolling_here = layout.rolling.emplace_back();
    rolling_here.push_back(attention(std::ssize(layout.layers) - 1).rolling_spec(type));
    if (ratio == 0) continue;
    streams_here.push_back(compressor(ratio).spec("compressed"));
    rolling_here.push_back(compressor(ratio).rolling_spec());
    if (ratio != kSelectedRatio) continue;
    streams_here.push_back(indexer().spec());
    rolling_here.push_back(index_compressor().rolling_spec());
  }
  layout.type = type;
  layout.page_tokens = kPageTokens;
  return layout;
}

Result<Deepseek4Layer> Deepseek4Layer::load(Loader& loader, const Deepseek4Sizes& s, std::int64_t index) {
  const std::string block = fmt::format("blk.{}.", index);
  Deepseek4Layer l;
  l.ratio = s.ratios[static_cast<std::size_t>(index)];
  DW_TRY(l.attn_streams, load_streams(loader, block + "hc_attn", s));
  DW_TRY(l.ffn_streams, load_streams(loader, block + "hc_ffn", s));
  DW_TRY(l.attn_norm, loader.rms_norm(block + "attn_norm", s.width, s.eps));
  DW_TRY(l.ffn_norm, loader.rms_norm(block + "ffn_norm", s.width, s.eps));
  DW_TRY(l.q_a, loader.linear(block + "attn_q_a", s.q_rank, s.width));
  DW_TRY(l.q_a_norm, loader.rms_norm(block + "attn_q_a_norm", s.q_rank, s.eps));
  DW_TRY(l.q_b, loader.linear(block + "attn_q_b", s.heads * s.head_dim, s.q_rank));
  DW_TRY(l.kv, loader.linear(block + "attn_kv", s.head_dim, s.width));
  DW_TRY(l.kv_norm, loader.rms_norm(block + "attn_kv_a_norm", s.head_dim, s.eps));
  l.attention = s.attention(index);
  DW_TRY(l.attention.sinks, loader.vector(block + "attn_sinks.weight", s.heads));
  if (l.ratio > 0) {
    DW_TRY(l.compressor, load_compressor(loader, block + "attn_compressor", s.compressor(l.ratio), s));
  }
  if (l.ratio == kSelectedRatio) {
    DW_TRY(l.index_compressor,
           load_compressor(loader, block + "indexer_compressor", s.index_compressor(), s));
    l.indexer = s.indexer();
    DW_TRY(l.indexer.q_b, loader.linear(block + "indexer.attn_q_b", s.index_heads * s.index_width, s.q_rank));
    DW_TRY(l.indexer.weight, loader.linear(block + "indexer.proj", s.index_heads, s.width));
  }
  DW_TRY(PackedMatrix out_a,
         loader.stack(block + "attn_output_a.weight", s.groups, s.out_rank, s.heads / s.groups * s.head_dim));
  l.out_a = HeadLinear(std::move(out_a));
  DW_TRY(l.out_b, loader.linear(block + "attn_output_b", s.width, s.groups * s.out_rank));
  Router defaults;
  defaults.score = Router::Score::kSqrtSoftplus;
  defaults.normalize = true;
  DW_TRY(l.ffn, load_feed_forward(loader, block, index, s.width, defaults));
  return l;
}

}  // namespace deepwell
