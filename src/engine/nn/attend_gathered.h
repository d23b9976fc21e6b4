// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "engine/kv/page_pool.h"
#include "engine/nn/attend_kernels.h"
#include "engine/nn/context.h"

namespace deepwell {

/// Attention where each row has a list of entries of its own, wherever they lie: they are copied together.
struct GatheredAttention {
  std::int64_t heads, width, value_width;
  float scale;
  const float* sinks;  ///< (heads), or null
  CacheType type;

  /// q (rows, heads, width), out (rows, heads, value_width). gather(row, to) copies the row's entries to
  /// `to`, one after another, and returns how many: 1 .. most.
  template <class Gather>
  void attend(const float* q, std::int64_t rows, std::int64_t most, Gather gather, float* out,
              Context& context) const {
    const ScratchScope scope(context.scratch);
    // All heads of a row see the same entries. A few rows are split by heads, to occupy every thread: then
    // each row has its entries gathered before; otherwise a thread gathers for the row at hand.
    const std::int64_t threads = context.pool.threads();
    const std::int64_t parts = rows >= threads ? 1 : std::min<std::int64_t>(heads, threads);
    const std::int64_t heads_each = (heads + parts - 1) / parts;
    const bool before = parts > 1;
    const std::int64_t page_bytes = kPageTokens * cache_vector_bytes(type, width);
    const std::int64_t pages = (most + kPageTokens - 1) / kPageTokens, lists = before ? rows : threads;
    auto* memory = context.scratch.take<std::byte>(lists * pages * page_bytes);
    auto* list_pages = context.scratch.take<const std::byte*>(lists * pages);
    for (std::int64_t p = 0; p < lists * pages; ++p) list_pages[p] = memory + p * page_bytes;
    const AttendKernel attend_latent(type, context.exact, heads);
    const std::int64_t scores_each = attend_latent.scratch_floats(heads_each, width, value_width);
    float* scores = context.scratch.take<float>(threads * scores_each);
    auto* limits = context.scratch.take<std::int32_t>(threads * heads_each);
    auto* counts = context.scratch.take<std::int32_t>(rows);
    const auto gather_row = [&](std::int64_t row, std::int64_t list) {
      counts[row] = gather(row, memory + list * pages * page_bytes);
    };
    if (before) context.pool.run(rows, [&](std::int64_t row, int) { gather_row(row, row); });
    context.pool.run(rows * parts, [&](std::int64_t task, int thread) {
      const std::int64_t row = task / parts, head = task % parts * heads_each;
      const std::int64_t count = std::min(heads_each, heads - head), list = before ? row : thread;
      if (count <= 0) return;
      if (!before) gather_row(row, list);
      std::int32_t* row_limits = limits + thread * heads_each;
      std::fill_n(row_limits, count, counts[row]);
      attend_latent(AttendLatentArgs{q + (row * heads + head) * width, static_cast<int>(count), width,
                                     value_width, scale, row_limits, list_pages + list * pages,
                                     out + (row * heads + head) * value_width, scores + thread * scores_each,
                                     sinks == nullptr ? nullptr : sinks + head});
    });
  }
};

}  // namespace deepwell
