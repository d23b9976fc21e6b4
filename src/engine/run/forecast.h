// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <unordered_map>
#include <vector>

#include "engine/run/fair_queue.h"

namespace deepwell {

/// When those who wait will start: the queue played on at the speed measured so far.
class Forecast {
 public:
  /// What a server that has not computed yet is taken to need, with all places taken.
  struct Guess {
    double token_seconds = 0.05;      ///< of an answer
    double prompt_token_seconds = 0;  ///< of a prompt
  };
  void expect(const Guess& guess) { guess_ = guess; }

  /// A step took so long: what it read of prompts, and what it computed of answers beside them.
  void note_step(std::int64_t prompt_tokens, std::int64_t answer_tokens, double seconds);
  void note_start(const Sequence& sequence, double waited_seconds);  ///< for the first time
  void note_finish(const Sequence& sequence, double decode_seconds);

  /// Plays `queue` on over `places` places, some held by `running`.
  void look_ahead(const FairQueue& queue, std::span<Sequence* const> running, int places,
                  Clock::time_point now);
  /// Of every request that waited at the last look, in the order in which they start.
  struct Start {
    Sequence* sequence;
    double raw_seconds, seconds;  // from the look; raw: before the correction
  };
  const std::vector<Start>& starts() const { return starts_; }
  /// From now until so many of those who wait have started.
  double seconds_until(std::int64_t starts, Clock::time_point now) const;

  /// What a step may read of prompts beside the next tokens of all, so that these come at half their speed at
  /// least, or no further apart than `gap` seconds. 0: not known yet.
  std::int64_t prompt_tokens_beside_decode(double gap) const;

 private:
  double service_seconds(const Sequence& sequence) const;

  Guess guess_;  // until there is something measured

  // Moving averages.
  double decode_step_seconds_ = 0;        // of steps that read nothing
  double prompt_token_seconds_ = 0;       // of a step, for each prompt token it reads
  double seconds_per_token_ = 0;          // of an answer, whatever ran beside it
  double reading_seconds_per_token_ = 0;  // of a prompt, from its start to the first token
  double usual_answer_ = 0;               // tokens
  double correction_ = 1;                 // how estimates turned out

  std::vector<Start> starts_;
  Clock::time_point looked_{};
};

}  // namespace deepwell
