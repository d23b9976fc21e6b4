// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/models/shared/engram_config.h"
#include "engine/models/shared/window_layer.h"
#include "engine/nn/token_runs.h"

namespace deepwell {

/// What a layer of V4.1 does for itself, and what it has from layers before it.
struct SharedEntries {
  std::int64_t owner =
      -1;                ///< of the compressed entries and index keys it reads; -1: it sees the window alone
  bool selects = false;  ///< among them; otherwise it sees what the layer before it saw
  IndexBlocks blocks;
};

/// The numbers of a DeepSeek V4.1 file.
struct Deepseek41Sizes : WindowSizes {
  std::vector<SharedEntries> shared;  // of each layer
  IndexBlocks blocks;                 // of those that keep or use some
  TokenRuns runs;                     // for Engram; length 0: the model has none

  static Result<Deepseek41Sizes> read(const Loader& loader);
  /// Streams of a layer that owns entries: entries, index keys. Rolling states: window, then the unfinished
  /// block of such a layer, then the tokens at the first layer with Engram.
  CacheLayout layout(CacheType type) const;
  bool owns(std::int64_t layer) const { return shared[static_cast<std::size_t>(layer)].owner == layer; }

 private:
  Status read_shared(const Loader& loader);
  Status read_blocks(const Loader& loader);
  Status read_runs(const Loader& loader);
};

/// The ratios it compresses by.
inline constexpr std::int64_t kPairRatio = 2, kTokenRatio = 1;

struct Deepseek41Layer : WindowLayer {
  SharedEntries shared;
  Compressor compressor;  // where it owns entries
  EntryKeys index_keys;
  Indexer indexer;  // where it selects
  Engram engram;    // before it; length 0: there is none

  static Result<Deepseek41Layer> load(Loader& loader, const Deepseek41Sizes& sizes,
                                      const EngramConfig& engrams, std::int64_t index);
};

}  // namespace deepwell
