// SPDX-License-Identifier: Apache-2.0
#include "engine/run/step.h"

#include <algorithm>
#include <new>

namespace deepwell {

void Step::clear() {
  parts_.clear();
  drawn_.clear();
  pooled_.clear();
  state_rows_.clear();
  state_owners_.clear();
  prompt_tokens_ = 0;
  tokens_.clear();
  positions_.clear();
  output_rows_.clear();
  batch_.clear();
}

void Step::add(Sequence& sequence, std::int64_t count) {
  const auto first = static_cast<std::int64_t>(tokens_.size());
  for (std::int64_t i = sequence.done; i < sequence.done + count; ++i) {
    tokens_.push_back(sequence.tokens[static_cast<std::size_t>(i)]);
    positions_.push_back(static_cast<std::int32_t>(i));
  }
  std::int64_t rows = count;
  if (sequence.request.pooling) {
    const bool all = *sequence.request.pooling == Pooling::kMean, last = count == sequence.left();
    for (std::int64_t row = all ? 0 : count - 1; row < count && (all || last); ++row) {
      state_rows_.push_back(static_cast<std::int32_t>(first + row));
      state_owners_.push_back(&sequence);
    }
    if (last) pooled_.push_back(&sequence);
  } else if (count == sequence.left()) {
    if (draws_.size() == drawn_.size()) draws_.emplace_back();
    Draw& draw = draws_[drawn_.size()];
    draw.part = parts_.size();
    draw.first_row = output_rows_.size();
    drawn_.push_back(&sequence);
    for (const std::int32_t token : sequence.guess) {
      tokens_.push_back(token);
      positions_.push_back(static_cast<std::int32_t>(sequence.done + rows++));
    }
    for (std::int64_t row = first + count - 1; row < first + rows; ++row)
      output_rows_.push_back(static_cast<std::int32_t>(row));
  }
  const std::int64_t of_prompt = std::clamp<std::int64_t>(sequence.prompt_tokens - sequence.done, 0, count);
  prompt_tokens_ += of_prompt;
  batch_.push_back({first, rows, &*sequence.cache, sequence.reading()});
  parts_.push_back({&sequence, count, of_prompt, first, sequence.done});
}

Status Step::run() {
  try {
    const ModelShape& shape = runner_.model().shape();
    logits_.resize(output_rows_.size() * static_cast<std::size_t>(shape.vocabulary));
    states_.resize(state_rows_.size() * static_cast<std::size_t>(shape.width));
    draft_states_.resize(tokens_.size() * static_cast<std::size_t>(runner_.model().state_width()));
    for (std::size_t i = 0; i < drawn_.size(); ++i) {
      const std::span<const std::byte> rolling = drawn_[i]->cache->rolling();
      draws_[i].rolling.clear();
      if (!drawn_[i]->guess.empty()) draws_[i].rolling.assign(rolling.begin(), rolling.end());
    }
    const Batch batch{.tokens = tokens_,
                      .positions = positions_,
                      .sequences = batch_,
                      .output_rows = output_rows_,
                      .state_rows = state_rows_,
                      .states = states_.data(),
                      .draft_states = draft_states_.empty() ? nullptr : draft_states_.data()};
    DW_RETURN_IF_ERROR(runner_.forward(batch, logits_.data()));
    for (const Part& part : parts_) part.sequence->done += part.count;
    pool();
    runner_.threads().run(static_cast<std::int64_t>(drawn_.size()),
                          [&](std::int64_t i, int) { draw(draws_[static_cast<std::size_t>(i)]); });
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kIo, "the machine has no memory left for this step"};
  }
  return Done{};
}

// In the order of positions, whatever the pieces: the same bits alone and in a crowd.
void Step::pool() {
  const auto width = static_cast<std::size_t>(runner_.model().shape().width);
  for (std::size_t row = 0; row < state_rows_.size(); ++row) {
    std::vector<double>& sum = state_owners_[row]->pooled;
    sum.resize(width);
    for (std::size_t i = 0; i < width; ++i) sum[i] += double{states_[row * width + i]};
  }
}

void Step::draw(Draw& draw) {
  Part& part = parts_[draw.part];
  Sequence& sequence = *part.sequence;
  verify(sequence, draw.first_row);
  part.right = sequence.done - part.position - part.count;
  if (draw.rolling.empty() || part.right == std::ssize(sequence.guess)) return;
  std::copy(draw.rolling.begin(), draw.rolling.end(), sequence.cache->rolling().begin());
  sequence.done = part.position;
}

void Step::verify(Sequence& sequence, std::size_t row) {
  const auto vocabulary = static_cast<std::size_t>(runner_.model().shape().vocabulary);
  TokenConstraint* const constraint = sequence.request.constraint.get();
  sequence.outputs.clear();
  for (std::size_t guessed = 0;; ++guessed, ++row) {
    const std::span<float> logits(logits_.data() + row * vocabulary, vocabulary);
    if (constraint == nullptr) {
      sequence.outputs.push_back(sequence.sampler.sample(logits));
    } else if (Result<TokenOutput> drawn = sequence.sampler.sample(logits, *constraint); drawn) {
      sequence.outputs.push_back(std::move(*drawn));
    } else {
      sequence.failure = "the answer cannot keep to its format: " + drawn.error().message;
      return;
    }
    sequence.tokens.push_back(sequence.outputs.back().token);
    if (guessed == sequence.guess.size() || sequence.outputs.back().token != sequence.guess[guessed] ||
        (constraint != nullptr && constraint->finished()))
      return;
    ++sequence.done;
  }
}

}  // namespace deepwell
