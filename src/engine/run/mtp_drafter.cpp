// SPDX-License-Identifier: Apache-2.0
#include "engine/run/mtp_drafter.h"

#include "engine/run/sequence.h"
#include "engine/run/step.h"

namespace deepwell {
namespace {

/// The states that the layer has not read yet: of positions first .. end - 1.
struct MtpState final : DraftState {
  std::int64_t first = 0, end = 0;
  std::vector<float> states;
};

MtpState& state_of(Sequence& sequence) {
  if (sequence.draft == nullptr) sequence.draft = std::make_unique<MtpState>();
  return static_cast<MtpState&>(*sequence.draft);
}

}  // namespace

MtpDrafter::MtpDrafter(Runner& runner)
    : ChainDrafter(runner.model().shape().vocabulary, runner.model().shape().vocabulary),
      runner_(runner),
      width_(static_cast<std::size_t>(runner.model().state_width())) {
  DW_CHECK(width_ > 0);
}

void MtpDrafter::follow(const Step& step) {
  const std::int64_t page = runner_.cache().layout().page_tokens;
  const auto width = static_cast<std::ptrdiff_t>(width_);
  for (const Step::Part& part : step.parts()) {
    MtpState& state = state_of(*part.sequence);
    // The layer reads a state with the token after it.
    const std::int64_t end =
        std::min(part.position + part.count + part.right, std::ssize(part.sequence->tokens) - 1);
    if (part.position > state.end) {  // pages were found that others filled, this layer's part of them, too
      state.first = state.end = part.position;
      state.states.clear();
    }
    if (end <= state.end) continue;  // tokens that are computed again
    const float* next = step.draft_states() + (part.first_row + state.end - part.position) * width;
    const std::int64_t complete = end / page * page;
    if (state.first < complete) {
      add_kept(*part.sequence);
      states_.insert(states_.end(), next, next + (complete - state.end) * width);
      next += (complete - state.end) * width;
      state.end = complete;
      add_rows(*part.sequence, /*wanted=*/false);
    }
    state.states.insert(state.states.end(), next, next + (end - state.end) * width);
    state.end = end;
  }
  if (empty() || pass()) return;
  for (const Step::Part& part : step.parts()) part.sequence->draft.reset();
}

/// The states of rows that are added next: those that were kept.
void MtpDrafter::add_kept(Sequence& sequence) {
  MtpState& state = state_of(sequence);
  states_.insert(states_.end(), state.states.begin(), state.states.end());
  state.states.clear();
}

/// Rows for all states that the layer has not read.
void MtpDrafter::add_rows(Sequence& sequence, bool wanted) {
  MtpState& state = state_of(sequence);
  for (; state.first < state.end; ++state.first)
    add_row(sequence.tokens[static_cast<std::size_t>(state.first) + 1], state.first);
  end_rows(*sequence.cache, wanted);
}

bool MtpDrafter::add_unseen(Sequence& sequence, int /*most*/) {
  const MtpState& state = state_of(sequence);
  if (state.first == state.end || state.end != std::ssize(sequence.tokens) - 1) return false;
  add_kept(sequence);
  add_rows(sequence, /*wanted=*/true);
  return true;
}

void MtpDrafter::add_said(Sequence& sequence, std::size_t output) {
  add_row(sequence.guess.back(), state_of(sequence).end + std::ssize(sequence.guess) - 1);
  const auto next = next_.begin() + static_cast<std::ptrdiff_t>(output * width_);
  states_.insert(states_.end(), next, next + static_cast<std::ptrdiff_t>(width_));
  end_rows(*sequence.cache, /*wanted=*/true);
}

Status MtpDrafter::compute(const Batch& batch, float* logits) {
  next_.resize(batch.output_rows.size() * width_);
  const Status computed = runner_.draft(batch, states_.data(), next_.data(), logits);
  states_.clear();
  return computed;
}

}  // namespace deepwell
