// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/kernels/attend.h"

namespace deepwell {

/// The definition of attention: two passes, in double. key(page, t, d) and value(page, t, d) give elements of
/// the cache as floats.
template <class Key, class Value>
void attend_reference(const AttendArgs& a, Key key, Value value) {
  std::vector<double> weights;
  for (int r = 0; r < a.rows; ++r) {
    const std::int32_t seen = a.limits[r];
    weights.assign(static_cast<std::size_t>(seen), 0.0);
    double highest = -INFINITY, total = 0;
    for (std::int32_t t = 0; t < seen; ++t) {
      double score = 0;
      for (std::int64_t d = 0; d < a.head_dim; ++d)
        score +=
            double{a.q[r * a.q_stride + d]} * double{key(a.key_pages[t / kPageTokens], t % kPageTokens, d)};
      weights[static_cast<std::size_t>(t)] = score * double{a.scale};
      highest = std::max(highest, weights[static_cast<std::size_t>(t)]);
    }
    for (double& weight : weights) total += weight = std::exp(weight - highest);
    if (a.softmax != nullptr) {
      a.softmax[2 * r] = static_cast<float>(highest);
      a.softmax[2 * r + 1] = static_cast<float>(total);
    }
    for (std::int64_t d = 0; d < a.value_dim; ++d) {
      double sum = 0;
      for (std::int32_t t = 0; t < seen; ++t)
        sum += weights[static_cast<std::size_t>(t)] *
               double{value(a.value_pages[t / kPageTokens], t % kPageTokens, d)};
      a.out[r * a.out_stride + d] = static_cast<float>(sum / total);
    }
  }
}

/// The same where a page is elements of one size: read(page, index) gives one.
template <class Read>
void attend_reference(const AttendArgs& a, Read read) {
  attend_reference(
      a,
      [&](const std::byte* page, std::int64_t t, std::int64_t d) { return read(page, d * kPageTokens + t); },
      [&](const std::byte* page, std::int64_t t, std::int64_t d) { return read(page, t * a.value_dim + d); });
}

}  // namespace deepwell
