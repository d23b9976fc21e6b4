// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kernels/attend.h"
#include "engine/kernels/attend_latent.h"

namespace deepwell {

/// Attention over a cache's keys and values: exact, or with everything rounded to bfloat16 where the
/// processor multiplies that faster and enough rows share the rounding of a page. A model takes the same way
/// for every batch: a token does not depend on who computes beside it.
class AttendKernel {
 public:
  /// `rows`: the fewest rows (heads of a group, times tokens) that read a page together.
  AttendKernel(CacheType type, bool exact, std::int64_t rows);
  std::int64_t scratch_floats(std::int64_t rows, std::int64_t head_dim, std::int64_t value_dim) const;
  void operator()(const AttendArgs& args) const;

 private:
  CacheType type_;
  bool rounded_;
};

/// The same over latents.
class AttendLatentKernel {
 public:
  AttendLatentKernel(CacheType type, bool exact, std::int64_t rows);
  std::int64_t scratch_floats(std::int64_t rows, std::int64_t width, std::int64_t value_width) const;
  void operator()(const AttendLatentArgs& args) const;

 private:
  CacheType type_;
  bool rounded_;
};

}  // namespace deepwell
