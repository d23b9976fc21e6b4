// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kernels/attend.h"

namespace deepwell {

/// The lightning indexer's score of each of the first `count` cached keys for one token:
/// out[s] = sum over heads h of weight[h] * max(0, q[h] . key[s]).
///
/// Shapes    q (heads, width), weights (heads), pages (page_entries, width), out (count).
/// Accuracy  |out - exact| <= width * 2^-22 * sum over h of |weight[h]| * sum |q[h] key|.
/// Threads   no state.
/// Source    DeepSeek-V3.2-Exp technical report, sec. 2, eq. 1.
struct IndexScoresArgs {
  const float* q;
  const float* weights;
  int heads;
  std::int64_t width;
  const std::byte* const* pages;
  std::int32_t count;
  float* out;
  int page_entries = kPageTokens;
};

struct IndexScoresF16 {
  static constexpr std::string_view kName = "index_scores_f16";
  using Fn = void(const IndexScoresArgs& args);
};
struct IndexScoresBf16 {
  static constexpr std::string_view kName = "index_scores_bf16";
  using Fn = void(const IndexScoresArgs& args);
};
struct IndexScoresQ8 {  ///< cache_q8.h
  static constexpr std::string_view kName = "index_scores_q8";
  using Fn = void(const IndexScoresArgs& args);
};
struct IndexScoresF32 {
  static constexpr std::string_view kName = "index_scores_f32";
  using Fn = void(const IndexScoresArgs& args);
};

}  // namespace deepwell
