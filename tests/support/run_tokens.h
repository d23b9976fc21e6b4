// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "engine/run/runner.h"

namespace deepwell::testing_support {

/// A runner over a file; options for one thread, float cache and exact activations unless told otherwise.
inline Result<std::unique_ptr<Runner>> load_runner(const std::string& path,
                                                   RunnerOptions options = {2, CacheType::kF32, true, 1024}) {
  DW_TRY(std::unique_ptr<ModelFile> file, open_gguf(path));
  return Runner::load(std::shared_ptr<const ModelFile>(std::move(file)), options);
}

/// One sequence of a batch: tokens from `done` on, `count` of them.
struct Rows {
  const std::vector<std::int32_t>* tokens;
  std::int64_t done, count;
  SequenceCache* cache;
  bool prompt = false;
};

/// Logits of every row of all sequences, one forward pass: (rows, vocabulary).
inline std::vector<float> forward(Runner& runner, const std::vector<Rows>& parts) {
  std::vector<std::int32_t> tokens, positions, outputs;
  std::vector<BatchSequence> sequences;
  for (const Rows& part : parts) {
    sequences.push_back({static_cast<std::int64_t>(tokens.size()), part.count, part.cache, part.prompt});
    part.cache->grow(part.done + part.count);
    for (std::int64_t i = 0; i < part.count; ++i) {
      tokens.push_back((*part.tokens)[static_cast<std::size_t>(part.done + i)]);
      positions.push_back(static_cast<std::int32_t>(part.done + i));
      outputs.push_back(static_cast<std::int32_t>(outputs.size()));
    }
  }
  std::vector<float> logits(tokens.size() * static_cast<std::size_t>(runner.model().shape().vocabulary), NAN);
  DW_CHECK(runner.forward({tokens, positions, sequences, outputs}, logits.data()).ok());
  return logits;
}

/// Logits of every token of one sequence, computed in chunks.
inline std::vector<float> run_tokens(Runner& runner, const std::vector<std::int32_t>& tokens,
                                     std::int64_t chunk, bool prompt = false) {
  SequenceCache cache(runner.cache());
  std::vector<float> all;
  const auto size = static_cast<std::int64_t>(tokens.size());
  for (std::int64_t done = 0; done < size; done += chunk) {
    const auto part = forward(runner, {{&tokens, done, std::min(chunk, size - done), &cache, prompt}});
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace deepwell::testing_support
