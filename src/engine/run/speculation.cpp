// SPDX-License-Identifier: Apache-2.0
#include "engine/run/speculation.h"

#include <algorithm>
#include <new>

namespace deepwell {
namespace {
constexpr double kRoundMemory = 0.8;  // about the last five rounds

/// Without memory for them there are no guesses.
template <class List, class Of>
void forget(const List& list, Of of) {
  for (const auto& each : list) {
    of(each)->draft.reset();
    of(each)->guess.clear();
  }
}
}  // namespace

// Of a token more for each of the sequences, as a share of their pass without any.
double Speculation::cost_of_one_more(std::int64_t sequences) const {
  double rows = static_cast<double>(sequences) * step_cost_.of_one_more(sequences);
  // Where one guess is wrong, the right ones before it are computed again: see Step::run().
  if (memory_.pool().rolling_bytes() > 0) rows *= 2;
  const double pass = step_cost_.of_pass(sequences);
  return pass > 0 ? rows + round_seconds_ / pass : rows;
}

void Speculation::guess(std::span<Sequence* const> drawing) {
  if (tokens_max_ == 0) return;
  wishes_.clear();
  const double cost = cost_of_one_more(std::ssize(drawing));
  for (Sequence* sequence : drawing) {
    const std::int64_t left = sequence->left();
    const std::int64_t still = sequence->request.max_tokens - sequence->generated - 1;
    std::int64_t most = std::min<std::int64_t>(tokens_max_, still);
    if (most <= 0) continue;
    most = memory_.chunk(*sequence, left + most) - left;
    const int worth = sequence->budget.worth(cost, static_cast<int>(std::max<std::int64_t>(0, most)));
    if (worth > 0 && memory_.grow(*sequence, sequence->done + left + worth))
      wishes_.push_back({sequence, worth});
  }
  if (wishes_.empty()) return;
  const auto begin = Clock::now();
  int rounds = 0;
  try {
    rounds = drafter_->draft(wishes_);
  } catch (const std::bad_alloc&) {
    forget(wishes_, [](const DraftWish& wish) { return wish.sequence; });
  }
  seconds_ = seconds_between(begin, Clock::now());
  if (rounds == 0) return;
  const double each = seconds_ / rounds;
  round_seconds_ = round_seconds_ == 0 ? each : round_seconds_ * kRoundMemory + each * (1 - kRoundMemory);
}

void Speculation::learn(const Step& step, double seconds) {
  if (step.prompt_tokens() == 0) step_cost_.observe(step.rows(), seconds);
  for (Sequence* sequence : step.drawn()) {
    if (sequence->guess.empty()) continue;
    const int guessed = static_cast<int>(sequence->guess.size());
    const int right =
        std::max(0, static_cast<int>(sequence->outputs.size()) - 1);  // 0: its constraint failed
    sequence->budget.observe(guessed, right);
    guessed_ += guessed;
    right_ += right;
  }
  if (drafter_ == nullptr) return;
  try {
    drafter_->follow(step);
  } catch (const std::bad_alloc&) {
    forget(step.parts(), [](const Step::Part& part) { return part.sequence; });
  }
}

void Speculation::describe(EngineStats& stats) const {
  stats.draft_tokens = guessed_;
  stats.draft_tokens_right = right_;
}

}  // namespace deepwell
