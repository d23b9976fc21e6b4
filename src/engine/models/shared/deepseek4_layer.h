// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/models/loader.h"
#include "engine/nn/compressor.h"
#include "engine/nn/feed_forward.h"
#include "engine/nn/hyper_connection.h"
#include "engine/nn/indexer.h"
#include "engine/nn/window_attention.h"

namespace deepwell {

/// The numbers of a DeepSeek V4 file.
struct Deepseek4Sizes {
  std::int64_t layers, width, heads, head_dim, rope, q_rank, groups, out_rank, window;
  std::int64_t index_heads, index_width, index_top;  // of the indexer; 0 where no layer has one
  std::int64_t streams, iterations;                  // of the hyper-connections
  float eps, hyper_eps;
  std::vector<std::int64_t> ratios;  // of each layer: tokens per compressed entry; 0: window only
  bool drafting;                     // a layer that drafts is behind the last, and in `ratios`

  static Result<Deepseek4Sizes> read(const Loader& loader);
  /// Streams of a layer: compressed entries, index keys. Rolling states: window, block, index block.
  CacheLayout layout(CacheType type) const;

  WindowAttention attention(std::int64_t layer) const;
  Compressor compressor(std::int64_t ratio) const;  ///< of the attention's entries
  Compressor index_compressor() const;              ///< of the index keys
  Indexer indexer() const;
};

Result<HyperHead> load_streams_end(Loader& loader, const std::string& tensor, const Deepseek4Sizes& sizes);

/// Entries with an indexer (and overlapping blocks), and those that all rows see.
inline constexpr std::int64_t kSelectedRatio = 4, kWholeRatio = 128;

struct Deepseek4Layer {
  std::int64_t ratio = 0;
  HyperConnection attn_streams, ffn_streams;
  RmsNormLayer attn_norm, ffn_norm;  // (width) x2
  Linear q_a, q_b;                   // (q_rank, width), (heads*head_dim, q_rank)
  RmsNormLayer q_a_norm;             // (q_rank)
  Linear kv;                         // (head_dim, width)
  RmsNormLayer kv_norm;              // (head_dim)
  WindowAttention attention;
  Compressor compressor;
  Indexer indexer;  // ratio 4, and its keys
  Compressor index_compressor;
  HeadLinear out_a;  // of a group of heads (out_rank, heads/groups*head_dim)
  Linear out_b;      // (width, groups*out_rank)
  FeedForward ffn;

  static Result<Deepseek4Layer> load(Loader& loader, const Deepseek4Sizes& sizes, std::int64_t index);
};

}  // namespace deepwell
