// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kernels/attend.h"

namespace deepwell {

/// Softmax attention of query rows over one sequence's latents, which are keys and, in their first
/// value_width elements, values; page by page as in attend.h, with its accuracy and scratch. A row's sink is
/// the score of an entry more, whose value is zero: it takes its share of the softmax and gives nothing.
///
/// Shapes    q (rows, width), out (rows, value_width), pages (kPageTokens, width), all dense.
struct AttendLatentArgs {
  const float* q;
  int rows;
  std::int64_t width, value_width;
  float scale;
  const std::int32_t* limits;  ///< (rows), at least 1
  const std::byte* const* pages;
  float* out;
  float* scratch;                ///< attend_scratch_floats(rows)
  const float* sinks = nullptr;  ///< (rows), or null: no row has one
  float* softmax = nullptr;      ///< (rows, 2): the highest score and the weights' sum under it; or nowhere
};

struct AttendLatentF16 {
  static constexpr std::string_view kName = "attend_latent_f16";
  using Fn = void(const AttendLatentArgs& args);
};
struct AttendLatentBf16 {
  static constexpr std::string_view kName = "attend_latent_bf16";
  using Fn = void(const AttendLatentArgs& args);
};
struct AttendLatentQ8 {  ///< cache_q8.h
  static constexpr std::string_view kName = "attend_latent_q8";
  using Fn = void(const AttendLatentArgs& args);
};
struct AttendLatentF32 {
  static constexpr std::string_view kName = "attend_latent_f32";
  using Fn = void(const AttendLatentArgs& args);
};

/// The same with q, entries and weights rounded to bfloat16, and sums in float: vdpbf16ps multiplies twice as
/// many as a float instruction does. For steps whose activations are rounded anyway.
///
/// Accuracy  against the same with exact sums: 2^-8 * max |v| over the seen entries.
/// Scratch   attend_rounded_floats(rows, width, value_width) at args.scratch.
struct AttendLatentRounded {
  static constexpr std::string_view kName = "attend_latent_rounded";
  using Fn = void(const AttendLatentArgs& args, CacheType type);
};

}  // namespace deepwell
