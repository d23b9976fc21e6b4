// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/models/shared/window_layer.h"

namespace deepwell {

/// The numbers of a DeepSeek V4 file.
struct Deepseek4Sizes : WindowSizes {
  bool drafting;  // a layer that drafts is behind the last, and in `ratios`

  static Result<Deepseek4Sizes> read(const Loader& loader);
  /// Streams of a layer: compressed entries, index keys. Rolling states: window, block, index block.
  CacheLayout layout(CacheType type) const;

  WindowAttention attention(std::int64_t layer) const;
  Compressor compressor(std::int64_t ratio) const;  ///< of the attention's entries
  Compressor index_compressor() const;              ///< of the index keys
};

Result<HyperHead> load_streams_end(Loader& loader, const std::string& tensor, const Deepseek4Sizes& sizes);

/// Entries with an indexer (and overlapping blocks), and those that all rows see.
inline constexpr std::int64_t kSelectedRatio = 4, kWholeRatio = 128;

struct Deepseek4Layer : WindowLayer {
  Compressor compressor;
  Indexer indexer;  // ratio 4, and its keys
  Compressor index_compressor;

  static Result<Deepseek4Layer> load(Loader& loader, const Deepseek4Sizes& sizes, std::int64_t index);
};

}  // namespace deepwell
