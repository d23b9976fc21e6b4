// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/nn/layers.h"

namespace deepwell {

/// Tokens as Engram's hashes see them: those that read alike are one.
struct EngramTokens {
  std::vector<std::int32_t> ids;  // of each token
  std::int32_t pad = 0;           // of what is before a text's start
};

/// Memory in large tables, looked up by the last tokens: the runs of 2, of 3, ... tokens that end at a row
/// are hashed, several times each, and every hash is the number of a row of the layer's table. What the rows
/// hold becomes a value, and for each stream of the residual a key; the value is added to a stream as far as
/// its key agrees with it.
///
/// The table stays in the file: a step reads columns() rows of it for each of its own.
///
/// Shapes    runs (rows, length): a row's token, the one before it, and so on; -1 before the start, and then
///           all further back. places (rows, columns()). x (rows, streams, width).
/// Accuracy  gates in float, sums of products lane by lane; a row's bits depend on nothing but the row.
/// Source    Cheng et al. 2026, "Conditional Memory via Scalable Lookup"; DeepSeek V4.1.
struct Engram {
  std::int64_t length = 0;   // tokens of the longest run, at least 2
  std::int64_t heads = 0;    // hashes of a run
  std::int64_t streams = 0;  // of the residual
  std::int64_t width = 0;    // of a stream
  float eps = 0;
  std::shared_ptr<const EngramTokens> tokens;
  std::vector<std::uint64_t> multipliers;      // (length)
  std::vector<std::uint64_t> primes, offsets;  // (length - 1, heads)
  Embedding table;                             // (rows, key_length)
  Linear key_value;                            // ((streams + 1) * width, columns() * key_length)
  std::vector<float> agreement;                // (streams, width): weights of x's and the key's products

  static constexpr std::int64_t kRowsAtOnce = 256;  ///< whose keys and values are in memory at once
  std::int64_t columns() const { return (length - 1) * heads; }
  /// Where the runs lie in the table, in scratch memory. The system starts to read them: a step does this for
  /// all its layers first, and finds them there later.
  const std::int32_t* find(const std::int32_t* runs, std::int64_t rows, Context& context) const;
  /// x += gate * value, a gate for each stream.
  void add_to(const std::int32_t* places, std::int64_t rows, float* x, Context& context) const;
};

}  // namespace deepwell
