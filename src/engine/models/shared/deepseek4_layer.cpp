// SPDX-License-Identifier: Apache-2.0
#include "engine/models/shared/deepseek4_layer.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/kernels/attend.h"

namespace deepwell {
namespace {

constexpr std::int64_t kMostDrafted = 64;  // tokens at once, as --draft-tokens says

Result<Compressor> load_compressor(Loader& loader, const std::string& tensor, Compressor c,
                                   const Deepseek4Sizes& s) {
  DW_TRY(c.value, loader.linear(tensor + "_kv", c.series() * c.width, s.width));
  DW_TRY(c.gate, loader.linear(tensor + "_gate", c.series() * c.width, s.width));
  DW_TRY(c.bias, loader.floats(tensor + "_ape.weight", c.block_tokens, c.series() * c.width));
  DW_TRY(c.norm, loader.rms_norm(tensor + "_norm", c.width, s.eps));
  return c;
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
  DW_RETURN_IF_ERROR(s.WindowSizes::read(loader, {kSelectedRatio, kWholeRatio}));
  s.drafting = loader.drafting();
  if (s.drafting) s.ratios.push_back(0);
  if (std::count(s.ratios.begin(), s.ratios.end(), kSelectedRatio) > 0)
    DW_RETURN_IF_ERROR(s.read_indexer(loader));
  return s;
}

WindowAttention Deepseek4Sizes::attention(std::int64_t layer) const {
  WindowAttention a = WindowSizes::attention();
  if (layer >= layers) a.spare = kMostDrafted;
  return a;
}

Compressor Deepseek4Sizes::compressor(std::int64_t ratio) const {
  Compressor c = WindowSizes::compressor(ratio);
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
    streams_here.push_back(indexer(ratio).spec());
    rolling_here.push_back(index_compressor().rolling_spec());
  }
  layout.type = type;
  layout.page_tokens = kPageTokens;
  return layout;
}

Result<Deepseek4Layer> Deepseek4Layer::load(Loader& loader, const Deepseek4Sizes& s, std::int64_t index) {
  const std::string block = fmt::format("blk.{}.", index);
  Deepseek4Layer l;
  DW_RETURN_IF_ERROR(l.WindowLayer::load(loader, s, index));
  l.ratio = s.ratios[static_cast<std::size_t>(index)];
  l.attention.spare = s.attention(index).spare;
  l.q_norm = {std::vector<float>(static_cast<std::size_t>(s.head_dim), 1.0F), s.eps};
  if (l.ratio > 0) {
    DW_TRY(l.compressor, load_compressor(loader, block + "attn_compressor", s.compressor(l.ratio), s));
  }
  if (l.ratio == kSelectedRatio) {
    DW_TRY(l.index_compressor,
           load_compressor(loader, block + "indexer_compressor", s.index_compressor(), s));
    l.indexer = s.indexer(l.ratio);
    DW_TRY(l.indexer.q_b, loader.linear(block + "indexer.attn_q_b", s.index_heads * s.index_width, s.q_rank));
    DW_TRY(l.indexer.weight, loader.linear(block + "indexer.proj", s.index_heads, s.width));
  }
  return l;
}

}  // namespace deepwell
