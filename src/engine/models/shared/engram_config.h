// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/models/loader.h"
#include "engine/nn/engram.h"

namespace deepwell {

/// What a file says of its Engram layers (keys "engram.*"), checked: whatever is here can be computed with.
struct EngramConfig {
  std::vector<std::int64_t> layers;  ///< ascending; empty: the model has none, and the rest means nothing
  std::int64_t length = 0, heads = 0, key_length = 0;
  std::vector<std::uint64_t> multipliers;      // (layers, length)
  std::vector<std::uint64_t> primes, offsets;  // (layers, length - 1, heads)
  std::shared_ptr<const EngramTokens> tokens;

  static Result<EngramConfig> read(const Loader& loader, std::int64_t layer_count, std::int64_t vocabulary);
  bool has(std::int64_t layer) const;
  /// Requires has(layer).
  Result<Engram> load(Loader& loader, std::int64_t layer, std::int64_t streams, std::int64_t width,
                      float eps) const;
};

}  // namespace deepwell
