// SPDX-License-Identifier: Apache-2.0
#include "engine/run/forecast.h"

#include <algorithm>
#include <queue>

namespace deepwell {
namespace {

/// The first value as it is, later ones by a share.
void average(double& mean, double value, double share) {
  mean = mean == 0 ? value : mean + share * (value - mean);
}

constexpr double kFirstGuessAnswer = 128;
/// Waits below this are no lesson: a step's length decides them.
constexpr double kShortWait = 0.5;

}  // namespace

void Forecast::note_step(std::int64_t prompt_tokens, std::int64_t answer_tokens, double seconds) {
  if (prompt_tokens == 0) average(decode_step_seconds_, seconds, 0.1);
  if (prompt_tokens >= 16) {
    const double reading = std::max(0.2 * seconds, seconds - (answer_tokens > 0 ? decode_step_seconds_ : 0));
    average(prompt_token_seconds_, reading / static_cast<double>(prompt_tokens), 0.1);
  }
}

void Forecast::note_start(const Sequence& sequence, double waited_seconds) {
  if (sequence.raw_estimate < kShortWait || waited_seconds < kShortWait) return;
  average(correction_, std::clamp(waited_seconds / sequence.raw_estimate, 0.2, 5.0), 0.05);
}

void Forecast::note_finish(const Sequence& sequence, double decode_seconds) {
  if (sequence.generated > 0) average(usual_answer_, static_cast<double>(sequence.generated), 0.05);
  if (sequence.generated > 1)
    average(seconds_per_token_, decode_seconds / static_cast<double>(sequence.generated - 1), 0.05);
  const double reading = seconds_between(sequence.started, sequence.first_token);
  const std::int64_t read = std::max<std::int64_t>(1, sequence.prompt_tokens - sequence.cached);
  average(reading_seconds_per_token_, reading / static_cast<double>(read), 0.05);
}

double Forecast::service_seconds(const Sequence& sequence) const {
  // The first steps with something drawn are mostly whole prompts: what they took says nothing of a token.
  const double token = seconds_per_token_ > 0 ? seconds_per_token_ : guess_.token_seconds;
  const double read = reading_seconds_per_token_ > 0 ? reading_seconds_per_token_
                      : prompt_token_seconds_ > 0    ? prompt_token_seconds_
                                                     : guess_.prompt_token_seconds;
  const double answer =
      static_cast<double>(sequence.expected_tokens(usual_answer_ > 0 ? usual_answer_ : kFirstGuessAnswer));
  return answer * token +
         read * static_cast<double>(std::max<std::int64_t>(0, sequence.prompt_tokens - sequence.done));
}

void Forecast::look_ahead(const FairQueue& queue, std::span<Sequence* const> running, int places,
                          Clock::time_point now) {
  using Held = std::pair<double, const Sequence*>;  // a place, until when
  std::priority_queue<Held, std::vector<Held>, std::greater<>> held;
  for (const Sequence* sequence : running) held.emplace(service_seconds(*sequence), sequence);
  double clock = 0;
  starts_.clear();
  looked_ = now;
  queue.play(
      [&]() -> std::optional<std::string> {
        if (static_cast<int>(held.size()) < places) return std::nullopt;
        const Held next = held.top();
        held.pop();
        clock = next.first;
        return next.second->request.account;
      },
      [&](Sequence* sequence) {
        starts_.push_back({sequence, clock, clock * correction_});
        held.emplace(clock + service_seconds(*sequence), sequence);
      });
}

double Forecast::seconds_until(std::int64_t starts, Clock::time_point now) const {
  if (starts <= 0 || starts_.empty()) return 0;
  const auto known = static_cast<std::int64_t>(starts_.size());
  double seconds = starts_[static_cast<std::size_t>(std::min(starts, known) - 1)].seconds;
  if (starts > known) seconds *= static_cast<double>(starts) / static_cast<double>(known);
  return std::max(0.0, seconds - seconds_between(looked_, now));
}

std::int64_t Forecast::prompt_tokens_beside_decode(double gap) const {
  if (decode_step_seconds_ == 0 || prompt_token_seconds_ == 0) return 0;
  const double seconds = std::max(decode_step_seconds_, gap - decode_step_seconds_);
  return static_cast<std::int64_t>(seconds / prompt_token_seconds_);
}

}  // namespace deepwell
