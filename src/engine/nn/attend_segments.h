// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "engine/nn/attend_kernels.h"
#include "engine/nn/batch.h"
#include "engine/nn/context.h"

namespace deepwell {

/// Query rows that read the same entries of one key/value head: at most a segment's.
struct AttendTile {
  const float* q;              ///< (rows, key_width)
  const std::int32_t* limits;  ///< (rows), at least 1: entries seen, counted from the segment's first
  int rows;
  std::int64_t kv_head;
  const SequenceCache* cache;
  std::int64_t first_page, pages;  ///< of the cache: those that hold what the rows see
  float* out;                      ///< (rows, value_width)
  float* softmax;                  ///< (rows, 2), as in attend.h
  float* scratch;
};

/// Causal attention over a paged cache, a segment of positions at a time: each is attended to by itself, and
/// a row's segments are folded in their order. So threads share one long sequence, sequences that own the
/// same pages (a prompt they have in common) read them together, and a row's bits depend on neither.
struct SegmentedAttention {
  static constexpr std::int64_t kTokens = 1024, kPages = kTokens / kPageTokens;

  std::int64_t kv_heads, group;  ///< query heads [h * group, (h + 1) * group) read key/value head h
  std::int64_t key_width, value_width;
  std::int64_t segment_tokens = kTokens;  ///< a multiple of kPageTokens; kTokens at most

  /// q (rows, kv_heads * group, key_width), out (rows, kv_heads * group, value_width). `attend` computes a
  /// tile with `kernel`, whose scratch it is given.
  void attend(const float* q, const Batch& batch, const AttendKernel& kernel, float* out, Context& context,
              const std::function<void(const AttendTile&)>& attend) const;
};

}  // namespace deepwell
