// SPDX-License-Identifier: Apache-2.0
#include "engine/models/shared/deepseek41_layer.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/kernels/attend.h"

namespace deepwell {
namespace {

constexpr std::int64_t kMostBlocks = 1 << 24, kMostRun = 64;

/// The layers that a key lists; of a file without it, those that have a tensor.
std::vector<bool> layers_with(const Loader& loader, std::string_view key, std::string_view tensor,
                              std::int64_t layers) {
  std::vector<bool> with(static_cast<std::size_t>(layers));
  const std::string full = loader.key(key);
  if (loader.file().metadata().has(full)) {
    for (const std::int64_t layer : loader.file().metadata().integers(full))
      if (layer >= 0 && layer < layers) with[static_cast<std::size_t>(layer)] = true;
  } else {
    for (std::int64_t i = 0; i < layers; ++i)
      with[static_cast<std::size_t>(i)] = loader.has(fmt::format("blk.{}.{}.weight", i, tensor));
  }
  return with;
}

}  // namespace

Status Deepseek41Sizes::read_shared(const Loader& loader) {
  const auto owners = layers_with(loader, "attention.kv_source_layer_ids", "attn_compressor_kv", layers);
  const auto selectors = layers_with(loader, "attention.index_source_layer_ids", "indexer.attn_q_b", layers);
  std::int64_t owner = -1;
  for (std::int64_t i = 0; i < layers; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (owners[at]) owner = i;
    shared.emplace_back();
    if (ratios[at] == 0) {
      if (owners[at] || selectors[at])
        return wrong_file(
            loader, fmt::format("layer {} has entries to keep or to select, but compresses nothing", i));
      continue;
    }
    if (owner < 0 || ratios[static_cast<std::size_t>(owner)] != ratios[at])
      return wrong_file(
          loader,
          fmt::format("layer {} reads entries of {} tokens that no layer before it makes", i, ratios[at]));
    if (owners[at] && !selectors[at])
      return wrong_file(loader, fmt::format("layer {} makes entries, but selects none of them", i));
    shared.back().owner = owner;
    shared.back().selects = selectors[at];
  }
  return Done{};
}

Status Deepseek41Sizes::read_blocks(const Loader& loader) {
  std::int64_t source = -1;
  for (std::int64_t i = layers; i-- > 0;)
    if (owns(i) && ratios[static_cast<std::size_t>(i)] == kTokenRatio) source = i;
  source = loader.integer_or("attention.candidate_source_layer_id", source);
  if (source < 0 || source >= layers) return Done{};
  blocks.most = loader.integer_or("attention.candidate_topk_blocks", 2048);
  blocks.entries = loader.integer_or("attention.candidate_block_size", 8);
  const std::int64_t page_entries =
      kPageTokens / std::max<std::int64_t>(1, ratios[static_cast<std::size_t>(source)]);
  if (blocks.most < 1 || blocks.most > kMostBlocks || blocks.entries < 1 ||
      page_entries % blocks.entries != 0)
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{}: {} candidate blocks of {} entries are kept; this version knows blocks that "
                             "divide {} entries",
                             loader.file().path(), blocks.most, blocks.entries, page_entries)};
  for (std::int64_t i = source; i < layers; ++i) {
    SharedEntries& here = shared[static_cast<std::size_t>(i)];
    if (here.owner >= 0 && here.owner != source)
      return wrong_file(loader,
                        fmt::format("layer {} keeps candidates, but layer {} selects among the entries "
                                    "of layer {}",
                                    source, i, here.owner));
    if (!here.selects) continue;
    here.blocks = blocks;
    here.blocks.part = i == source ? IndexBlocks::Part::kKeep : IndexBlocks::Part::kUse;
  }
  return Done{};
}

Status Deepseek41Sizes::read_runs(const Loader& loader) {
  const std::vector<std::int64_t> ids = loader.file().metadata().integers(loader.key("engram.layer_ids"));
  if (ids.empty()) return Done{};
  runs.layer = *std::min_element(ids.begin(), ids.end());
  if (runs.layer < 0 || runs.layer >= layers)
    return wrong_file(loader, fmt::format("engram.layer_ids names layer {} of {}", runs.layer, layers));
  DW_TRY(runs.length, loader.integer("engram.max_ngram_size", kMostRun));
  if (runs.length < 2) return wrong_file(loader, "engram.max_ngram_size is 1, which looks nothing up");
  runs.rolling = owns(runs.layer) && ratios[static_cast<std::size_t>(runs.layer)] > 1 ? 2 : 1;
  return Done{};
}

Result<Deepseek41Sizes> Deepseek41Sizes::read(const Loader& loader) {
  Deepseek41Sizes s{};
  DW_RETURN_IF_ERROR(s.WindowSizes::read(loader, {kTokenRatio, kPairRatio}));
  DW_RETURN_IF_ERROR(s.read_shared(loader));
  DW_RETURN_IF_ERROR(s.read_blocks(loader));
  DW_RETURN_IF_ERROR(s.read_runs(loader));
  const bool selects = std::any_of(s.shared.begin(), s.shared.end(), [](const auto& l) { return l.selects; });
  if (selects) DW_RETURN_IF_ERROR(s.read_indexer(loader));
  return s;
}

CacheLayout Deepseek41Sizes::layout(CacheType type) const {
  CacheLayout layout;
  for (std::int64_t i = 0; i < layers; ++i) {
    std::vector<StreamSpec>& streams_here = layout.layers.emplace_back();
    std::vector<RollingSpec>& rolling_here = layout.rolling.emplace_back();
    rolling_here.push_back(attention().rolling_spec(type));
    if (owns(i)) {
      const std::int64_t ratio = ratios[static_cast<std::size_t>(i)];
      streams_here.push_back(compressor(ratio).spec("compressed"));
      streams_here.push_back(indexer(ratio).spec());
      if (ratio > 1) rolling_here.push_back(compressor(ratio).rolling_spec());
    }
    if (runs.length > 0 && i == runs.layer) rolling_here.push_back(runs.rolling_spec());
  }
  layout.type = type;
  layout.page_tokens = kPageTokens;
  return layout;
}

Result<Deepseek41Layer> Deepseek41Layer::load(Loader& loader, const Deepseek41Sizes& s,
                                              const EngramConfig& engrams, std::int64_t index) {
  const std::string block = fmt::format("blk.{}.", index);
  Deepseek41Layer l;
  DW_RETURN_IF_ERROR(l.WindowLayer::load(loader, s, index));
  l.ratio = s.ratios[static_cast<std::size_t>(index)];
  l.shared = s.shared[static_cast<std::size_t>(index)];
  if (s.owns(index)) {
    l.compressor = s.compressor(l.ratio);
    DW_TRY(l.compressor.value, loader.linear(block + "attn_compressor_kv", s.head_dim, s.width));
    if (l.ratio > 1) {
      DW_TRY(l.compressor.gate, loader.linear(block + "attn_compressor_gate", s.head_dim, s.width));
      l.compressor.bias.assign(static_cast<std::size_t>(l.ratio * s.head_dim), 0.0F);
    }
    DW_TRY(l.compressor.norm, loader.rms_norm(block + "attn_compressor_norm", s.head_dim, s.eps));
    DW_TRY(l.index_keys.k, loader.linear(block + "indexer.attn_k", s.index_width, s.head_dim));
    DW_TRY(l.index_keys.norm, loader.rms_norm(block + "indexer.k_norm", s.index_width, s.eps));
  }
  if (l.shared.selects) {
    l.indexer = s.indexer(l.ratio);
    l.indexer.blocks = l.shared.blocks;
    DW_TRY(l.indexer.q_b, loader.linear(block + "indexer.attn_q_b", s.index_heads * s.index_width, s.q_rank));
    DW_TRY(l.indexer.weight, loader.linear(block + "indexer.proj", s.index_heads, s.width));
  }
  if (engrams.has(index)) {
    DW_TRY(l.engram, engrams.load(loader, index, s.streams, s.width, s.eps));
  }
  return l;
}

}  // namespace deepwell
