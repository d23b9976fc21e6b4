// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/router.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace deepwell {
namespace {

constexpr std::int64_t kMostExperts = 1024;

/// Index of the largest value; the lower one among equals.
std::int64_t best_of(const float* values, std::int64_t count) {
  return std::max_element(values, values + count) - values;
}

float group_rank(const float* choice, std::int64_t count, Router::Score score) {
  float first = -INFINITY, second = -INFINITY;
  for (std::int64_t i = 0; i < count; ++i) {
    if (choice[i] > first) {
      second = first;
      first = choice[i];
    } else {
      second = std::max(second, choice[i]);
    }
  }
  return score == Router::Score::kSigmoid && count > 1 ? first + second : first;
}

}  // namespace

void Router::score_all(float* logits) const {
  switch (score) {
    case Score::kSoftmax: {
      const float peak = logits[best_of(logits, experts)];
      double total = 0;
      for (std::int64_t i = 0; i < experts; ++i) total += double{logits[i] = std::exp(logits[i] - peak)};
      for (std::int64_t i = 0; i < experts; ++i) logits[i] = static_cast<float>(double{logits[i]} / total);
      return;
    }
    case Score::kSigmoid:
      for (std::int64_t i = 0; i < experts; ++i) logits[i] = 1.0F / (1.0F + std::exp(-logits[i]));
      return;
    case Score::kSqrtSoftplus:
      for (std::int64_t i = 0; i < experts; ++i)
        logits[i] = std::sqrt(logits[i] > 20 ? logits[i] : std::log1p(std::exp(logits[i])));
  }
}

void Router::choose(const float* scores, std::int32_t* ids) const {
  float choice[kMostExperts];
  for (std::int64_t i = 0; i < experts; ++i)
    choice[i] = scores[i] + (bias.empty() ? 0.0F : bias[static_cast<std::size_t>(i)]);
  if (groups > 1 && groups_used < groups) {
    const std::int64_t size = experts / groups;
    float ranks[kMostExperts];
    bool kept[kMostExperts] = {};
    for (std::int64_t g = 0; g < groups; ++g) ranks[g] = group_rank(choice + g * size, size, score);
    for (std::int64_t n = 0; n < groups_used; ++n) {
      const std::int64_t g = best_of(ranks, groups);
      kept[g] = true;
      ranks[g] = -INFINITY;
    }
    for (std::int64_t i = 0; i < experts; ++i)
      if (!kept[i / size]) choice[i] = -INFINITY;
  }
  for (std::int64_t n = 0; n < used; ++n) {
    const std::int64_t expert = best_of(choice, experts);
    ids[n] = static_cast<std::int32_t>(expert);
    choice[expert] = -INFINITY;
  }
}

void Router::route(float* logits, std::int32_t token, std::int32_t* ids, float* weights) const {
  DW_CHECK(experts <= kMostExperts && used <= experts && groups >= 1);
  score_all(logits);
  if (table.empty()) {
    choose(logits, ids);
  } else {
    DW_CHECK(token >= 0 && (token + 1) * used <= static_cast<std::int64_t>(table.size()));
    std::copy_n(table.begin() + token * used, used, ids);
  }
  double total = 1e-20;
  for (std::int64_t n = 0; n < used; ++n) total += double{weights[n] = logits[ids[n]]};
  for (std::int64_t n = 0; n < used; ++n)
    weights[n] =
        static_cast<float>((normalize ? double{weights[n]} / total : double{weights[n]}) * double{scale});
}

}  // namespace deepwell
