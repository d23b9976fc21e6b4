// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/kernels/attend.h"

namespace deepwell {

/// The definition of attention: two passes, in double. `read(page, index)` gives a cache element as float.
template <class Read>
void attend_reference(const AttendArgs& a, Read read) {
  std::vector<double> weights;
  for (int r = 0; r < a.rows; ++r) {
    const std::int32_t seen = a.limits[r];
    weights.assign(static_cast<std::size_t>(seen), 0.0);
    double highest = -INFINITY, total = 0;
    for (std::int32_t t = 0; t < seen; ++t) {
      double score = 0;
      for (std::int64_t d = 0; d < a.head_dim; ++d)
        score += double{a.q[r * a.q_stride + d]} *
                 double{read(a.key_pages[t / kPageTokens], d * kPageTokens + t % kPageTokens)};
      weights[static_cast<std::size_t>(t)] = score * double{a.scale};
      highest = std::max(highest, weights[static_cast<std::size_t>(t)]);
    }
    for (double& weight : weights) total += weight = std::exp(weight - highest);
    for (std::int64_t d = 0; d < a.value_dim; ++d) {
      double sum = 0;
      for (std::int32_t t = 0; t < seen; ++t)
        sum += weights[static_cast<std::size_t>(t)] *
               double{read(a.value_pages[t / kPageTokens], t % kPageTokens * a.value_dim + d)};
      a.out[r * a.out_stride + d] = static_cast<float>(sum / total);
    }
  }
}

}  // namespace deepwell
