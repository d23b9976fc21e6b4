// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/latent_attention.h"

#include <algorithm>
#include <cstring>

#include "engine/nn/attend_gathered.h"
#include "engine/nn/cache_elements.h"

namespace deepwell {
void HeadLinear::apply(const float* x, std::int64_t x_stride, std::int64_t x_head_stride, std::int64_t tokens,
                       float* y, std::int64_t y_stride, std::int64_t y_head_stride, Context& context) const {
  const ScratchScope scope(context.scratch);
  const Activation kind = product_.activation(context.exact);
  const std::int64_t tiles = (tokens + kMaxTileWidth - 1) / kMaxTileWidth;
  // A tile's memory is its thread's: it is used up within one task.
  const auto bytes = static_cast<std::int64_t>(tile_bytes(kind, k(), kMaxTileWidth));
  std::byte* memory = context.scratch.take<std::byte>(bytes * context.pool.threads());
  PrepareTile::Fn* const prepare = prepare_kernel(kind);
  context.pool.run(heads() * tiles, [&](std::int64_t task, int thread) {
    const std::int64_t head = task / tiles, first = task % tiles * kMaxTileWidth;
    const std::int64_t columns = std::min<std::int64_t>(kMaxTileWidth, tokens - first);
    const ActivationTile tile = tile_over(kind, k(), tile_width(columns), memory + thread * bytes);
    const float* rows[kMaxTileWidth] = {};
    for (std::int64_t c = 0; c < columns; ++c) rows[c] = x + (first + c) * x_stride + head * x_head_stride;
    prepare(rows, tile);
    product_.multiply(head, 0, product_.weights().groups(), std::span(&tile, 1), columns,
                      y + first * y_stride + head * y_head_stride, y_stride, false, context.exact);
  });
}

void LatentAttention::remember(const float* entries, const Batch& batch, std::int64_t layer,
                               Context& context) const {
  (void)context;
  for (const BatchSequence& sequence : batch.sequences)
    for (std::int64_t row = sequence.first; row < sequence.first + sequence.count; ++row)
      put_cache_vector(sequence.cache->pool().layout().type, entries + row * width, width,
                       sequence.cache->entry(layer, 0, batch.positions[static_cast<std::size_t>(row)]));
}

void LatentAttention::attend(const float* q, const Batch& batch, std::int64_t layer, float* out,
                             Context& context) const {
  const AttendKernel kernel(batch.sequences.front().cache->pool().layout().type, context.exact, heads);
  const SegmentedAttention segmented{1, heads, width, value_width, segment_tokens};
  segmented.attend(q, batch, kernel, out, context, [&](const AttendTile& tile) {
    const std::byte* pages[SegmentedAttention::kPages];
    for (std::int64_t p = 0; p < tile.pages; ++p)
      pages[p] = tile.cache->pool().stream(tile.cache->pages()[static_cast<std::size_t>(tile.first_page + p)],
                                           layer, 0);
    kernel(AttendLatentArgs{tile.q, tile.rows, width, value_width, scale, tile.limits, pages, tile.out,
                            tile.scratch, nullptr, tile.softmax});
  });
}

void LatentAttention::attend_selected(const float* q, const Batch& batch, std::int64_t layer,
                                      const Selection& selection, float* out, Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t rows = batch.rows();
  auto* of_row = context.scratch.take<const BatchSequence*>(rows);
  for (const BatchSequence& sequence : batch.sequences)
    std::fill(of_row + sequence.first, of_row + sequence.first + sequence.count, &sequence);
  const CacheType type = batch.sequences.front().cache->pool().layout().type;
  const std::int64_t entry_bytes = cache_vector_bytes(type, width);
  const auto gather = [&](std::int64_t row, std::byte* to) {
    const SequenceCache& cache = *of_row[row]->cache;
    const std::int32_t* ids = selection.ids + row * selection.most;
    for (std::int32_t i = 0; i < selection.counts[row]; ++i) {
      const std::int32_t page = cache.pages()[static_cast<std::size_t>(ids[i] / kPageTokens)];
      std::memcpy(to + i * entry_bytes,
                  cache.pool().stream(page, layer, 0) + ids[i] % kPageTokens * entry_bytes,
                  static_cast<std::size_t>(entry_bytes));
    }
    return selection.counts[row];
  };
  GatheredAttention{heads, width, value_width, scale, nullptr, type}.attend(q, rows, selection.most, gather,
                                                                            out, context);
}

}  // namespace deepwell
