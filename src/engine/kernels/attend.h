// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/cache_page.h"
#include "engine/kernels/cache_type.h"
#include "engine/kernels/kernel.h"

namespace deepwell {

/// Softmax attention of some query rows over one key/value head of one sequence, page by page (online
/// softmax, so no row of scores is ever whole).
///
/// Shapes    q (rows, head_dim), out (rows, value_dim) with row strides; key page (head_dim, kPageTokens),
/// value
///           page (kPageTokens, value_dim), of halves, bfloats or floats.
/// Requires  1 <= limits[r]: how many entries row r sees, counted from the first; pages cover the largest;
///           entries below the largest limit are finite.
/// Accuracy  |out - exact| <= 1e-5 * max |v| over the seen entries, for scores within +-80 of each other.
/// Threads   no state; `scratch` (attend_scratch_floats) is the caller's.
struct AttendArgs {
  const float* q;
  std::int64_t q_stride;
  int rows;
  std::int64_t head_dim, value_dim;
  float scale;                        ///< of the scores
  const std::int32_t* limits;         ///< (rows)
  const std::byte* const* key_pages;  ///< one pointer per page
  const std::byte* const* value_pages;
  float* out;
  std::int64_t out_stride;
  float* scratch;
  float* softmax = nullptr;  ///< (rows, 2): the highest score and the weights' sum under it; or nowhere
};
constexpr std::int64_t attend_scratch_floats(int rows) { return std::int64_t{rows} * (kPageTokens + 2); }

struct AttendF16 {
  static constexpr std::string_view kName = "attend_f16";
  using Fn = void(const AttendArgs& args);
};
struct AttendBf16 {
  static constexpr std::string_view kName = "attend_bf16";
  using Fn = void(const AttendArgs& args);
};
struct AttendQ8 {  ///< cache_q8.h
  static constexpr std::string_view kName = "attend_q8";
  using Fn = void(const AttendArgs& args);
};
struct AttendF32 {
  static constexpr std::string_view kName = "attend_f32";
  using Fn = void(const AttendArgs& args);
};

/// The same with q, keys, values and weights rounded to bfloat16, and sums in float: vdpbf16ps multiplies
/// twice as many as a float instruction does. For steps whose activations are rounded anyway.
///
/// Accuracy  against the same with exact sums: 2^-8 * max |v| over the seen entries.
/// Scratch   attend_rounded_floats(...) floats at args.scratch.
struct AttendRounded {
  static constexpr std::string_view kName = "attend_rounded";
  using Fn = void(const AttendArgs& args, CacheType type);
};
/// Scores and what a page rescales, then in bfloat16: queries, weights, a page of keys and one of values.
constexpr std::int64_t attend_rounded_floats(std::int64_t rows, std::int64_t head_dim,
                                             std::int64_t value_dim) {
  return attend_scratch_floats(static_cast<int>(rows)) + rows +
         (rows * (head_dim + kPageTokens) + kPageTokens * (head_dim + value_dim)) / 2 + 32;
}

}  // namespace deepwell
