// SPDX-License-Identifier: Apache-2.0
#include "engine/run/delivery.h"

namespace deepwell {
namespace {

std::optional<FinishReason> deliver_token(Sequence& sequence, const TokenOutput& output,
                                          const Engine::EndToken& ends_generation) {
  ++sequence.generated;
  const TokenConstraint* const constraint = sequence.request.constraint.get();
  const bool may_go_on = sequence.request.ignore_end && constraint == nullptr;
  if (!may_go_on && ends_generation && ends_generation(output.token)) return FinishReason::kStop;
  if (!sequence.sink->on_token(output)) return FinishReason::kStop;
  if (constraint != nullptr && constraint->finished() && &output == &sequence.outputs.back())
    return FinishReason::kStop;
  if (sequence.generated >= sequence.request.max_tokens) return FinishReason::kLength;
  return std::nullopt;
}

}  // namespace

std::optional<FinishReason> deliver(Sequence& sequence, const Engine::EndToken& ends_generation) {
  if (sequence.generated == 0) sequence.first_token = Clock::now();
  if (sequence.request.max_tokens == 0) return FinishReason::kLength;
  for (const TokenOutput& output : sequence.outputs)
    if (const auto reason = deliver_token(sequence, output, ends_generation)) return reason;
  if (!sequence.failure.empty()) return FinishReason::kError;
  return std::nullopt;
}

void deliver_vector(Sequence& sequence) {
  const double rows =
      *sequence.request.pooling == Pooling::kMean ? static_cast<double>(sequence.prompt_tokens) : 1;
  std::vector<float> vector;
  for (const double sum : sequence.pooled) vector.push_back(static_cast<float>(sum / rows));
  sequence.sink->on_embedding(std::move(vector));
}

FinishInfo finish_info(const Sequence& sequence, FinishReason reason, std::string error) {
  const auto now = Clock::now();
  const bool started = sequence.has_started();
  const bool produced = sequence.has_answered();
  FinishInfo info{reason, std::move(error)};
  info.prompt_tokens = sequence.prompt_tokens;
  info.generated_tokens = sequence.generated;
  info.cached_tokens = sequence.cached;
  info.queue_seconds = seconds_between(sequence.submitted, started ? sequence.started : now);
  info.prefill_seconds =
      started ? seconds_between(sequence.started, produced ? sequence.first_token : now) : 0;
  info.decode_seconds = produced ? seconds_between(sequence.first_token, now) : 0;
  if (started) info.estimated_queue_seconds = sequence.estimated_wait;
  return info;
}

}  // namespace deepwell
