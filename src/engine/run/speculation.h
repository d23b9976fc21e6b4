// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "engine/run/cache_memory.h"
#include "engine/run/draft_budget.h"
#include "engine/run/drafter.h"
#include "engine/run/step.h"

namespace deepwell {

/// Guessing ahead, as far as it pays: how many tokens each sequence guesses is weighed by what drafting and
/// verifying have cost so far and how often its guesses came true.
///
/// Threads   one, the engine's.
class Speculation {
 public:
  /// `drafter`: nullptr: nothing is ever guessed.
  Speculation(std::unique_ptr<Drafter> drafter, int tokens_max, CacheMemory& memory)
      : drafter_(std::move(drafter)), tokens_max_(drafter_ == nullptr ? 0 : tokens_max), memory_(memory) {}

  int tokens_max() const { return tokens_max_; }
  /// Fills the guesses of all sequences of the next pass, which only draws. Guesses take only room that
  /// nobody else has to give up.
  void guess(std::span<Sequence* const> drawing);
  /// After a pass of `seconds`.
  void learn(const Step& step, double seconds);
  void put_aside(Sequence& sequence) {
    if (drafter_ != nullptr) drafter_->put_aside(sequence);
  }
  /// What the guesses of the pass took.
  double take_seconds() { return std::exchange(seconds_, 0); }
  void describe(EngineStats& stats) const;

 private:
  double cost_of_one_more(std::int64_t sequences) const;

  std::unique_ptr<Drafter> drafter_;
  const int tokens_max_;
  CacheMemory& memory_;
  StepCost step_cost_;
  double round_seconds_ = 0;  // of one token more for all that guess; fading
  double seconds_ = 0;
  std::int64_t guessed_ = 0, right_ = 0;
  std::vector<DraftWish> wishes_;
};

}  // namespace deepwell
