// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/kernels/attend_latent.h"

namespace deepwell {

/// The definition: two passes, in double. read(page, width, t, d) gives element d of a page's vector t.
template <class Read>
void attend_latent_reference(const AttendLatentArgs& a, Read read) {
  std::vector<double> weights;
  for (int r = 0; r < a.rows; ++r) {
    const std::int32_t seen = a.limits[r];
    weights.assign(static_cast<std::size_t>(seen), 0.0);
    double highest = a.sinks == nullptr ? -INFINITY : double{a.sinks[r]}, total = 0;
    for (std::int32_t t = 0; t < seen; ++t) {
      double score = 0;
      for (std::int64_t d = 0; d < a.width; ++d)
        score += double{a.q[r * a.width + d]} *
                 double{read(a.pages[t / kPageTokens], a.width, t % kPageTokens, d)};
      weights[static_cast<std::size_t>(t)] = score * double{a.scale};
      highest = std::max(highest, weights[static_cast<std::size_t>(t)]);
    }
    if (a.sinks != nullptr) total = std::exp(double{a.sinks[r]} - highest);
    for (double& weight : weights) total += weight = std::exp(weight - highest);
    if (a.softmax != nullptr) {
      a.softmax[2 * r] = static_cast<float>(highest);
      a.softmax[2 * r + 1] = static_cast<float>(total);
    }
    for (std::int64_t d = 0; d < a.value_width; ++d) {
      double sum = 0;
      for (std::int32_t t = 0; t < seen; ++t)
        sum += weights[static_cast<std::size_t>(t)] *
               double{read(a.pages[t / kPageTokens], a.width, t % kPageTokens, d)};
      a.out[r * a.value_width + d] = static_cast<float>(sum / total);
    }
  }
}

}  // namespace deepwell
