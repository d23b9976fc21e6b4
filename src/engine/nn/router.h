// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace deepwell {

/// How a mixture of experts chooses: scores from the gate's logits, some groups of experts first where there
/// are groups, then the best experts, then their weights. A table chooses by the token alone; the scores are
/// then its experts' weights.
struct Router {
  enum class Score { kSoftmax, kSigmoid, kSqrtSoftplus };
  Score score = Score::kSoftmax;
  std::int64_t experts = 0, used = 0;
  std::int64_t groups = 1,
               groups_used = 1;     ///< a group's rank: its best score (softmax) or two best (sigmoid)
  bool normalize = false;           ///< weights are divided by their sum
  float scale = 1;                  ///< and multiplied by this
  std::vector<float> bias;          ///< (experts) added for choosing only, or empty
  std::vector<std::int32_t> table;  ///< (tokens, used) experts of each token, or empty

  /// logits (experts), overwritten; ids, weights (used), best first, or as the table has them. Ties go to the
  /// lower expert. Requires a token inside the table.
  void route(float* logits, std::int32_t token, std::int32_t* ids, float* weights) const;

 private:
  void score_all(float* logits) const;
  void choose(const float* scores, std::int32_t* ids) const;
};

}  // namespace deepwell
