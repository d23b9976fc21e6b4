// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "engine/run/constraint.h"
#include "engine/run/sampling.h"

namespace deepwell {

struct TokenLogprob {
  std::int32_t token;
  float logprob;  ///< natural logarithm, after bias, penalties and constraint, before temperature and
                  ///< truncation
};

struct TokenOutput {
  std::int32_t token;
  std::optional<float> logprob;
  std::vector<TokenLogprob> top;
};

/// Draws one sequence's tokens. The n-th draw depends on the seed, n and the logits alone.
class Sampler {
 public:
  /// prompt: what repetition penalty and DRY look back on. Without a seed in the options one is drawn.
  Sampler(SamplingOptions options, std::span<const std::int32_t> prompt);

  /// The next token; `logits` (vocabulary) is used as work space. Ties go to the lower token.
  TokenOutput sample(std::span<float> logits);
  /// The same among the tokens that `constraint` allows, which then accepts the one drawn. Fails when it
  /// does, or when it allows none.
  Result<TokenOutput> sample(std::span<float> logits, TokenConstraint& constraint);

 private:
  void adjust(std::span<float> logits) const;
  TokenOutput choose(std::span<float> logits);
  void penalize(std::span<float> logits) const;
  void penalize_repeated_runs(std::span<float> logits) const;
  std::int32_t draw(std::span<float> logits);
  void describe(std::span<const float> logits, TokenOutput& output) const;

  struct Candidate {
    std::int32_t token;
    float weight;  // logit, then probability
  };
  /// Sorts `candidates_` so that the heaviest `count` come first, in order.
  void sort_front(std::size_t count);
  void keep_typical();

  SamplingOptions options_;
  std::uint64_t seed_, draws_ = 0;
  std::vector<std::int32_t> history_;  // prompt and what was drawn
  std::size_t prompt_tokens_;
  std::unordered_map<std::int32_t, int> generated_;  // token -> times drawn
  std::vector<Candidate> candidates_;                // work space, kept between draws
  std::vector<std::uint32_t> allowed_;               // the same
};

}  // namespace deepwell
