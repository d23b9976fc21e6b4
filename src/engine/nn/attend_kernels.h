// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kernels/attend.h"
#include "engine/kernels/attend_latent.h"

namespace deepwell {

/// Attention over a cache's keys and values, or over its latents: exact, or with everything rounded to
/// bfloat16 where the processor multiplies that faster and enough rows share the rounding of a page. A model
/// takes the same way for every batch: a token does not depend on who computes beside it.
class AttendKernel {
 public:
  /// `rows`: heads that read a page together, or for prompts alone the rows of a task.
  AttendKernel(CacheType type, bool exact, std::int64_t rows);
  std::int64_t scratch_floats(std::int64_t rows, std::int64_t key_width, std::int64_t value_width) const;
  void operator()(const AttendArgs& args) const;
  void operator()(const AttendLatentArgs& args) const;

 private:
  CacheType type_;
  bool rounded_;
};

}  // namespace deepwell
