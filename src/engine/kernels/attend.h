// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/kernel.h"

namespace deepwell {

/// Cache entries (tokens) per page. Pages are the unit of allocation and of sharing.
inline constexpr int kPageTokens = 64;

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

}  // namespace deepwell
