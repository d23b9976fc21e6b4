// SPDX-License-Identifier: Apache-2.0
#include "engine/run/chain_drafter.h"

#include <cmath>

#include "engine/run/sequence.h"

namespace deepwell {
namespace {
// From so many rows on they are computed as a prompt's are, which is better for many.
constexpr std::int64_t kLikeAPrompt = 32;
}  // namespace

int ChainDrafter::draft(std::span<const DraftWish> wishes) {
  active_.clear();
  for (const DraftWish& wish : wishes)
    if (add_unseen(*wish.sequence, wish.most)) active_.push_back(wish);
  const bool all = active_.size() == wishes.size();
  int rounds = 0;
  while (!empty()) {
    if (!pass()) {  // no memory: what was guessed so far may still be right
      for (const DraftWish& wish : wishes) wish.sequence->draft.reset();
      return 0;
    }
    ++rounds;
    going_on_.clear();
    for (std::size_t i = 0; i < active_.size(); ++i) {
      Sequence& sequence = *active_[i].sequence;
      const std::int32_t token = likeliest(i);
      if (token < 0) continue;
      sequence.guess.push_back(token);
      if (std::ssize(sequence.guess) >= active_[i].most) continue;
      add_said(sequence, i);
      going_on_.push_back(active_[i]);
    }
    active_.swap(going_on_);
  }
  return all ? rounds : 0;
}

void ChainDrafter::add_row(std::int32_t token, std::int64_t position) {
  tokens_.push_back(token);
  positions_.push_back(static_cast<std::int32_t>(position));
}

void ChainDrafter::end_rows(const SequenceCache& cache, bool wanted) {
  const std::int64_t first = sequences_.empty() ? 0 : sequences_.back().first + sequences_.back().count;
  const std::int64_t count = std::ssize(tokens_) - first;
  sequences_.push_back({first, count, &cache, count >= kLikeAPrompt});
  if (wanted) output_rows_.push_back(static_cast<std::int32_t>(first + count - 1));
}

Status ChainDrafter::pass() {
  logits_.resize(output_rows_.size() * static_cast<std::size_t>(vocabulary_));
  const Status computed = compute({tokens_, positions_, sequences_, output_rows_}, logits_.data());
  tokens_.clear();
  positions_.clear();
  output_rows_.clear();
  sequences_.clear();
  return computed;
}

std::int32_t ChainDrafter::likeliest(std::size_t output) const {
  const float* const row = logits_.data() + output * static_cast<std::size_t>(vocabulary_);
  std::int32_t best = -1;
  float most = -INFINITY;
  for (std::int32_t token = 0; token < usable_; ++token)
    if (row[token] > most) {  // never for NaN
      most = row[token];
      best = token;
    }
  return best;
}

}  // namespace deepwell
