// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/nn/context.h"

namespace deepwell {

/// Which elements of a head form a pair.
enum class RopeLayout { kPairs, kHalves };  // (2i, 2i+1) or (i, i + n/2)

/// Rotary position embedding. Angles are position * frequency, in double, so that long contexts keep their
/// fastest pairs.
class Rope {
 public:
  Rope() = default;
  /// frequencies (pairs): radians per position; magnitude multiplies cosine and sine (YaRN).
  Rope(RopeLayout layout, std::vector<double> frequencies, float magnitude);

  std::int64_t pairs() const { return static_cast<std::int64_t>(frequencies_.size()); }

  /// cosine, sine (tokens, pairs) of some positions.
  struct Table {
    const float* cosine;
    const float* sine;
  };
  Table table(std::span<const std::int32_t> positions, Context& context) const;
  /// The table that turns back what `table` turned.
  static Table inverse(const Table& table, std::int64_t tokens, std::int64_t pairs, Context& context);
  /// Rotates the first 2*pairs elements of a head in place.
  void rotate(float* head, const Table& table, std::int64_t token) const;

 private:
  RopeLayout layout_ = RopeLayout::kPairs;
  std::vector<double> frequencies_;
  float magnitude_ = 1;
};

}  // namespace deepwell
