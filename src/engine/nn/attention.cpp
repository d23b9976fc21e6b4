// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/attention.h"

#include <algorithm>
#include <cstring>

#include "engine/nn/attend_segments.h"
#include "engine/nn/cache_elements.h"

namespace deepwell {
void Attention::remember(const float* k, const float* v, const Batch& batch, std::int64_t layer,
                         Context& context) const {
  const std::int64_t width = kv_heads * head_dim;
  const auto row_task = [&](const BatchSequence& sequence, std::int64_t row) {
    const PagePool& pool = sequence.cache->pool();
    const CacheType type = pool.layout().type;
    const std::int64_t vector_bytes = cache_vector_bytes(type, head_dim);
    const std::int64_t position = batch.positions[static_cast<std::size_t>(row)];
    const std::int64_t slot = position % kPageTokens;
    const std::int32_t page = sequence.cache->pages()[static_cast<std::size_t>(position / kPageTokens)];
    std::byte* keys = pool.stream(page, layer, 0);
    std::byte* values = pool.stream(page, layer, 1);
    for (std::int64_t h = 0; h < kv_heads; ++h) {
      put_cache_key(type, k + row * width + h * head_dim, head_dim, keys + h * kPageTokens * vector_bytes,
                    slot);
      put_cache_vector(type, v + row * width + h * head_dim, head_dim,
                       values + (h * kPageTokens + slot) * vector_bytes);
    }
  };
  if (batch.rows() < 16) {
    for (const BatchSequence& sequence : batch.sequences)
      for (std::int64_t i = 0; i < sequence.count; ++i) row_task(sequence, sequence.first + i);
    return;
  }
  for (const BatchSequence& sequence : batch.sequences)
    context.pool.run((sequence.count + 15) / 16, [&](std::int64_t task, int) {
      for (std::int64_t i = task * 16; i < std::min(sequence.count, task * 16 + 16); ++i)
        row_task(sequence, sequence.first + i);
    });
}

void Attention::attend(const float* q, const Batch& batch, std::int64_t layer, float* out,
                       Context& context) const {
  const CacheType type = batch.sequences.front().cache->pool().layout().type;
  const AttendKernel kernel(type, context.exact, heads / kv_heads);
  const std::int64_t head_bytes = kPageTokens * cache_vector_bytes(type, head_dim);
  const SegmentedAttention segmented{kv_heads, heads / kv_heads, head_dim, head_dim, segment_tokens};
  segmented.attend(q, batch, kernel, out, context, [&](const AttendTile& tile) {
    const std::byte* keys[SegmentedAttention::kPages];
    const std::byte* values[SegmentedAttention::kPages];
    for (std::int64_t p = 0; p < tile.pages; ++p) {
      const std::int32_t page = tile.cache->pages()[static_cast<std::size_t>(tile.first_page + p)];
      keys[p] = tile.cache->pool().stream(page, layer, 0) + tile.kv_head * head_bytes;
      values[p] = tile.cache->pool().stream(page, layer, 1) + tile.kv_head * head_bytes;
    }
    kernel(AttendArgs{tile.q, head_dim, tile.rows, head_dim, head_dim, scale, tile.limits, keys, values,
                      tile.out, head_dim, tile.scratch, tile.softmax});
  });
}

}  // namespace deepwell
