// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "engine/run/engine.h"

namespace deepwell {

struct DraftBenchOptions {
  EngineOptions engine;     ///< with guesses
  std::string draft_model;  ///< path; "": none
  std::string text;         ///< what the model goes on from
  std::vector<std::int64_t> generations;
  int repeats = 3;
  bool json = false;
};

/// Prints how fast one sequence goes on from a text without guesses and with them, and how many came true.
/// The text is the same with and without.
Status bench_drafts(const std::string& path, const DraftBenchOptions& options);

}  // namespace deepwell
