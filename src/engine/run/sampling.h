// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace deepwell {

/// How the next token is drawn. Defaults change nothing: plain sampling at temperature 1.
/// Order: logit bias, penalties, DRY, constraint, temperature, top-k, typical, top-p, min-p, draw.
struct SamplingOptions {
  float temperature = 1.0F;         ///< 0: greedy
  int top_k = 0;                    ///< 0: off
  float top_p = 1.0F;               ///< 1: off
  float min_p = 0.0F;               ///< 0: off
  float typical_p = 1.0F;           ///< 1: off
  float repetition_penalty = 1.0F;  ///< 1: off; divides positive logits of seen tokens, multiplies negative
  float frequency_penalty = 0.0F;   ///< OpenAI's, over generated tokens
  float presence_penalty = 0.0F;
  int penalty_last_n = -1;      ///< how many last tokens repetition_penalty looks at; -1: all
  float dry_multiplier = 0.0F;  ///< 0: off
  float dry_base = 1.75F;
  int dry_allowed_length = 2;
  int dry_last_n = -1;
  std::vector<std::int32_t> dry_breakers;  ///< tokens that end a repeated run
  std::vector<std::pair<std::int32_t, float>> logit_bias;
  std::optional<std::uint64_t> seed;  ///< same seed, same text, whatever else runs in the batch
  int logprobs = -1;  ///< -1: none; 0: of the chosen token; n: and the n likeliest (at most 20)
};

}  // namespace deepwell
