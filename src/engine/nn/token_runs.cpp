// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/token_runs.h"

#include <algorithm>

namespace deepwell {

const std::int32_t* TokenRuns::take(const Batch& batch, Context& context) const {
  auto* runs = context.scratch.take<std::int32_t>(batch.rows() * length);  // (rows, length)
  const std::int64_t kept = length - 1;
  for (const BatchSequence& sequence : batch.sequences) {
    auto* state = reinterpret_cast<std::int32_t*>(sequence.cache->rolling(layer, rolling));
    for (std::int64_t row = sequence.first; row < sequence.first + sequence.count; ++row) {
      const std::int64_t position = batch.positions[static_cast<std::size_t>(row)];
      std::int32_t* run = runs + row * length;
      run[0] = batch.tokens[static_cast<std::size_t>(row)];
      for (std::int64_t i = 1; i < length; ++i) run[i] = position < i ? -1 : state[(position - i) % kept];
      state[position % kept] = run[0];
    }
  }
  return runs;
}

}  // namespace deepwell
