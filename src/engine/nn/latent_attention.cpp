// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/latent_attention.h"

#include <algorithm>
#include <cstring>

#include "engine/nn/attend_gathered.h"
#include "engine/nn/cache_elements.h"

namespace deepwell {
namespace {

// Query rows (tokens times heads) that share one pass over a page.
constexpr std::int64_t kRowsPerTask = 48;

}  // namespace

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
  for (const BatchSequence& sequence : batch.sequences) {
    const PagePool& pool = sequence.cache->pool();
    const CacheType type = pool.layout().type;
    for (std::int64_t row = sequence.first; row < sequence.first + sequence.count; ++row) {
      const std::int64_t position = batch.positions[static_cast<std::size_t>(row)];
      const std::int32_t page = sequence.cache->pages()[static_cast<std::size_t>(position / kPageTokens)];
      put_cache_vector(
          type, entries + row * width, width,
          pool.stream(page, layer, 0) + position % kPageTokens * cache_vector_bytes(type, width));
    }
  }
}

void LatentAttention::attend(const float* q, const Batch& batch, std::int64_t layer, float* out,
                             Context& context) const {
  const ScratchScope scope(context.scratch);
  // Rows of one sequence, token by token and head by head, are contiguous in q and out.
  std::int64_t total = 0;
  std::size_t pages_most = 0;
  for (const BatchSequence& sequence : batch.sequences) {
    total += sequence.count * heads;
    pages_most = std::max(pages_most, sequence.cache->pages().size());
  }
  const std::int64_t share = (total + context.pool.threads() * 2 - 1) / (context.pool.threads() * 2);
  const std::int64_t rows_each =
      std::clamp<std::int64_t>(share, std::min<std::int64_t>(8, total), kRowsPerTask);
  struct Task {
    const BatchSequence* sequence;
    std::int64_t first, count;
  };
  auto* tasks =
      context.scratch.take<Task>(total / rows_each + static_cast<std::int64_t>(batch.sequences.size()));
  std::int64_t count = 0;
  for (const BatchSequence& sequence : batch.sequences) {
    const std::int64_t rows = sequence.count * heads;
    // The last rows see the most: they go first.
    for (std::int64_t first = (rows - 1) / rows_each * rows_each; first >= 0; first -= rows_each)
      tasks[count++] = {&sequence, first, std::min(rows_each, rows - first)};
  }
  const AttendKernel attend_latent(batch.sequences.front().cache->pool().layout().type, context.exact, heads);
  struct Work {
    float* scores;
    std::int32_t* limits;
    const std::byte** pages;
  };
  auto* works = context.scratch.take<Work>(context.pool.threads());
  for (int i = 0; i < context.pool.threads(); ++i)
    works[i] = {context.scratch.take<float>(attend_latent.scratch_floats(rows_each, width, value_width)),
                context.scratch.take<std::int32_t>(rows_each),
                context.scratch.take<const std::byte*>(static_cast<std::int64_t>(pages_most))};
  context.pool.run(count, [&](std::int64_t index, int thread) {
    const Task& task = tasks[index];
    const Work& work = works[thread];
    const PagePool& pool = task.sequence->cache->pool();
    std::int32_t limit = 0;
    for (std::int64_t r = 0; r < task.count; ++r) {
      const std::int64_t token = task.sequence->first + (task.first + r) / heads;
      work.limits[r] = batch.positions[static_cast<std::size_t>(token)] + 1;
      limit = std::max(limit, work.limits[r]);
    }
    for (std::int64_t p = 0; p < (limit + kPageTokens - 1) / kPageTokens; ++p)
      work.pages[p] = pool.stream(task.sequence->cache->pages()[static_cast<std::size_t>(p)], layer, 0);
    const std::int64_t row = task.sequence->first * heads + task.first;
    attend_latent(AttendLatentArgs{q + row * width, static_cast<int>(task.count), width, value_width, scale,
                                   work.limits, work.pages, out + row * value_width, work.scores});
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
