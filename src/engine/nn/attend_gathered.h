// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "engine/kernels/attend_latent.h"
#include "engine/kv/page_pool.h"
#include "engine/nn/context.h"

namespace deepwell {

/// The kernel for a cache's elements.
AttendLatentF16::Fn* attend_latent_kernel(CacheType type);

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
    // All heads of a row see the same entries. A few rows are split by heads, to occupy every thread; each
    // part gathers for itself, which costs little beside the heads' work.
    const std::int64_t threads = context.pool.threads();
    const std::int64_t parts = rows >= threads ? 1 : std::min<std::int64_t>(heads, threads);
    const std::int64_t heads_each = (heads + parts - 1) / parts;
    const std::int64_t page_bytes = kPageTokens * width * cache_element_bytes(type);
    const std::int64_t pages = (most + kPageTokens - 1) / kPageTokens;
    struct Work {
      float* scores;
      std::int32_t* limits;
      std::byte* entries;
      const std::byte** pages;
    };
    auto* works = context.scratch.take<Work>(threads);
    for (int i = 0; i < threads; ++i) {
      works[i] = {context.scratch.take<float>(attend_scratch_floats(static_cast<int>(heads_each))),
                  context.scratch.take<std::int32_t>(heads_each),
                  context.scratch.take<std::byte>(pages * page_bytes),
                  context.scratch.take<const std::byte*>(pages)};
      for (std::int64_t p = 0; p < pages; ++p) works[i].pages[p] = works[i].entries + p * page_bytes;
    }
    context.pool.run(rows * parts, [&](std::int64_t task, int thread) {
      const std::int64_t row = task / parts, head = task % parts * heads_each;
      const std::int64_t count = std::min(heads_each, heads - head);
      if (count <= 0) return;
      const Work& work = works[thread];
      std::fill(work.limits, work.limits + count, gather(row, work.entries));
      attend_latent_kernel(type)({q + (row * heads + head) * width, static_cast<int>(count), width,
                                  value_width, scale, work.limits, work.pages,
                                  out + (row * heads + head) * value_width, work.scores,
                                  sinks == nullptr ? nullptr : sinks + head});
    });
  }
};

}  // namespace deepwell
