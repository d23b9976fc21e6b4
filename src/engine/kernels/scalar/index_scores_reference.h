// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "engine/kernels/index_scores.h"

namespace deepwell {

/// The definition, in double. read(page, width, t, d) gives element d of a page's vector t.
template <class Read>
void index_scores_reference(const IndexScoresArgs& a, Read read) {
  for (std::int32_t s = 0; s < a.count; ++s) {
    double score = 0;
    for (int h = 0; h < a.heads; ++h) {
      double dot = 0;
      for (std::int64_t d = 0; d < a.width; ++d)
        dot += double{a.q[h * a.width + d]} *
               double{read(a.pages[s / a.page_entries], a.width, s % a.page_entries, d)};
      score += double{a.weights[h]} * std::max(0.0, dot);
    }
    a.out[s] = static_cast<float>(score);
  }
}

}  // namespace deepwell
