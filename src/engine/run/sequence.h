// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "engine/kv/prefix_tree.h"
#include "engine/run/draft_budget.h"
#include "engine/run/drafter.h"
#include "engine/run/engine.h"
#include "engine/run/swap_space.h"

namespace deepwell {

using Clock = std::chrono::steady_clock;
inline double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// A request on its way. It waits; it runs: its prompt is read, then it draws tokens; meanwhile it may be put
/// aside, when its cache stays in the pool for as long as nobody needs the room.
struct Sequence {
  Sequence(EngineRequest wanted, std::shared_ptr<TokenSink> to)
      : request(std::move(wanted)), sink(std::move(to)), sampler(request.sampling, request.prompt) {
    tokens.swap(request.prompt);
    prompt_tokens = static_cast<std::int64_t>(tokens.size());
  }

  std::uint64_t id = 0;
  EngineRequest request;  // its prompt is in `tokens`
  std::shared_ptr<TokenSink> sink;
  Sampler sampler;
  std::vector<TokenOutput> outputs;  // drawn in the last step: one, and more where guesses came true
  std::string failure;               // of its constraint
  std::vector<double> pooled;        // the sum of its states so far, for a request with pooling

  std::vector<std::int32_t> tokens;  // prompt and what was drawn
  std::int64_t prompt_tokens = 0;
  std::int64_t done = 0;  // tokens in the cache, the first of `tokens`
  std::int64_t generated = 0;
  std::int64_t cached = 0;  // of the prompt, found instead of computed
  bool asked = false;       // whether the prefix cache knows any of it

  std::unique_ptr<DraftState> draft;  // the drafter's; nullptr: it knows nothing
  DraftBudget budget;
  std::vector<std::int32_t> guess;  // verified in the next step, behind the last token

  std::optional<SequenceCache> cache;  // from its start until it ends or is swapped out
  SwappedCache swapped;
  PrefixTree::Node* kept = nullptr;  // the deepest of its pages that the prefix tree has; nullptr: the root
  std::int64_t kept_pages = 0;

  double rank = 0;  // its place among the requests of its account: lower first
  Clock::time_point submitted = Clock::now(), started, first_token, told;
  double estimated_wait = -1;  // from submission, as first told
  double raw_estimate = -1;    // the same before the forecast's correction

  bool has_started() const { return started != Clock::time_point{}; }
  bool has_answered() const { return first_token != Clock::time_point{}; }
  bool reading() const { return done < prompt_tokens; }
  std::int64_t left() const { return static_cast<std::int64_t>(tokens.size()) - done; }
  /// Those that one step may compute together: of the prompt, or drawn.
  std::int64_t left_alike() const { return reading() ? prompt_tokens - done : left(); }
  /// Tokens that are still to be drawn, most likely.
  std::int64_t expected_tokens(double usual_answer) const {
    const double answer = std::min(usual_answer, static_cast<double>(request.max_tokens));
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(answer) - generated);
  }
};

}  // namespace deepwell
