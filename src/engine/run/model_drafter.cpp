// SPDX-License-Identifier: Apache-2.0
#include "engine/run/model_drafter.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/human.h"
#include "engine/run/sequence.h"

namespace deepwell {
namespace {

constexpr std::int64_t kRowsAtOnce = 512;  // of a sequence: the others wait for them
constexpr std::int64_t kUnusedToken = 5;   // of tokenizer.ggml.token_type

struct ModelState final : DraftState {
  explicit ModelState(PagePool& pool) : cache(pool) {}
  SequenceCache cache;
  std::int64_t done = 0;           // tokens of the sequence in the cache
  std::vector<std::byte> rolling;  // as it was at `done`, when guesses went on from there
};

ModelState& state_of(Sequence& sequence) { return static_cast<ModelState&>(*sequence.draft); }

}  // namespace

ModelDrafter::ModelDrafter(std::unique_ptr<Runner> runner, std::int64_t vocabulary)
    : ChainDrafter(runner->model().shape().vocabulary,
                   std::min(runner->model().shape().vocabulary, vocabulary)),
      runner_(std::move(runner)) {}

void ModelDrafter::put_aside(Sequence& sequence) { sequence.draft.reset(); }

bool ModelDrafter::add_unseen(Sequence& sequence, int most) {
  PagePool& pool = runner_->cache();
  if (sequence.draft == nullptr) sequence.draft = std::make_unique<ModelState>(pool);
  ModelState& state = state_of(sequence);
  if (!state.rolling.empty()) {
    std::copy(state.rolling.begin(), state.rolling.end(), state.cache.rolling().begin());
    state.rolling.clear();
  }
  const std::int64_t unseen = std::ssize(sequence.tokens) - state.done, count = std::min(unseen, kRowsAtOnce);
  const auto rows = std::span(sequence.tokens)
                        .subspan(static_cast<std::size_t>(state.done), static_cast<std::size_t>(count));
  const std::int64_t vocabulary = runner_->model().shape().vocabulary;
  if (std::ranges::any_of(rows, [&](std::int32_t token) { return token >= vocabulary; })) return false;
  if (state.cache.missing(state.done + count + most) > pool.free_pages()) return false;
  state.cache.grow(state.done + count + most);
  for (const std::int32_t token : rows) add_row(token, state.done++);
  end_rows(state.cache, /*wanted=*/count == unseen);
  return count == unseen;
}

void ModelDrafter::add_said(Sequence& sequence, std::size_t /*output*/) {
  ModelState& state = state_of(sequence);
  const std::span<const std::byte> rolling = state.cache.rolling();
  if (sequence.guess.size() == 1) state.rolling.assign(rolling.begin(), rolling.end());
  add_row(sequence.guess.back(), state.done + std::ssize(sequence.guess) - 1);
  end_rows(state.cache, /*wanted=*/true);
}

Status ModelDrafter::compute(const Batch& batch, float* logits) { return runner_->forward(batch, logits); }

Status check_same_vocabulary(const ModelFile& model, const ModelFile& drafting) {
  const auto* const ours = model.metadata().texts("tokenizer.ggml.tokens");
  const auto* const theirs = drafting.metadata().texts("tokenizer.ggml.tokens");
  if (ours == nullptr || theirs == nullptr) {
    if (ours == theirs) return Done{};
    const ModelFile& without = ours == nullptr ? model : drafting;
    return Error{
        ErrorCode::kInvalid,
        fmt::format("{} has no vocabulary to compare; take a file with its tokenizer", without.path())};
  }
  const auto kinds = model.metadata().integers("tokenizer.ggml.token_type");
  const auto their_kinds = drafting.metadata().integers("tokenizer.ggml.token_type");
  const auto text = [](const std::vector<std::string>& tokens, const std::vector<std::int64_t>& types,
                       std::size_t i) {
    const bool unused =
        i >= tokens.size() || (i < types.size() && types[i] == kUnusedToken) || tokens[i].starts_with("[PAD");
    return unused ? std::string_view() : std::string_view(tokens[i]);
  };
  for (std::size_t i = 0; i < std::max(ours->size(), theirs->size()); ++i) {
    const std::string_view a = text(*ours, kinds, i), b = text(*theirs, their_kinds, i);
    if (a == b) continue;
    const auto name = [](std::string_view token) {
      return token.empty() ? std::string("unused") : fmt::format("'{}'", printable(std::string(token), 64));
    };
    return Error{ErrorCode::kInvalid,
                 fmt::format("{} cannot draft for {}: token {} is {} there and {} here; take a smaller model "
                             "with the same vocabulary",
                             drafting.path(), model.path(), i, name(b), name(a))};
  }
  return Done{};
}

}  // namespace deepwell
