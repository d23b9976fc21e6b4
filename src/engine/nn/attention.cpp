// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/attention.h"

#include <algorithm>
#include <cstring>

#include "engine/nn/attend_kernels.h"
#include "engine/nn/cache_elements.h"

namespace deepwell {
namespace {

// Query rows (tokens times heads of a group) that share one pass over a page.
constexpr std::int64_t kRowsPerTask = 48;

}  // namespace

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
  const std::int64_t group = heads / kv_heads;
  const std::int64_t width = heads * head_dim;
  const std::int64_t tokens_per_task = std::max<std::int64_t>(1, kRowsPerTask / group);
  struct Task {
    const BatchSequence* sequence;
    std::int64_t kv_head, first, count;  // rows of the sequence
  };
  std::int64_t most = 0;
  for (const BatchSequence& sequence : batch.sequences)
    most += (sequence.count + tokens_per_task - 1) / tokens_per_task * kv_heads;
  Task* tasks = context.scratch.take<Task>(most);
  std::int64_t count = 0;
  // The last rows see the most: they go first, so that no thread is left with a long task at the end.
  for (const BatchSequence& sequence : batch.sequences)
    for (std::int64_t first = (sequence.count - 1) / tokens_per_task * tokens_per_task; first >= 0;
         first -= tokens_per_task)
      for (std::int64_t h = 0; h < kv_heads; ++h)
        tasks[count++] = {&sequence, h, first, std::min(tokens_per_task, sequence.count - first)};

  const std::int64_t rows_most = tokens_per_task * group;
  const AttendKernel attend_rows(batch.sequences.front().cache->pool().layout().type, context.exact, group);
  const std::int64_t floats_each = attend_rows.scratch_floats(rows_most, head_dim, head_dim);
  struct Work {
    float* scores;
    float* q;
    float* out;
    std::int32_t* limits;
    const std::byte** keys;
    const std::byte** values;
  };
  std::size_t pages_most = 0;
  for (const BatchSequence& sequence : batch.sequences)
    pages_most = std::max(pages_most, sequence.cache->pages().size());
  Work* works = context.scratch.take<Work>(context.pool.threads());
  for (int i = 0; i < context.pool.threads(); ++i)
    works[i] = {context.scratch.take<float>(floats_each),
                context.scratch.take<float>(rows_most * head_dim),
                context.scratch.take<float>(rows_most * head_dim),
                context.scratch.take<std::int32_t>(rows_most),
                context.scratch.take<const std::byte*>(static_cast<std::int64_t>(pages_most)),
                context.scratch.take<const std::byte*>(static_cast<std::int64_t>(pages_most))};

  context.pool.run(count, [&](std::int64_t index, int thread) {
    const Task& task = tasks[index];
    const PagePool& pool = task.sequence->cache->pool();
    const Work& work = works[thread];
    const std::int64_t head_offset =
        task.kv_head * kPageTokens * cache_vector_bytes(pool.layout().type, head_dim);
    const std::int64_t first_row = task.sequence->first + task.first;
    std::int32_t limit = 0;
    for (std::int64_t t = 0; t < task.count; ++t) {
      const std::int32_t seen = batch.positions[static_cast<std::size_t>(first_row + t)] + 1;
      limit = std::max(limit, seen);
      for (std::int64_t g = 0; g < group; ++g) work.limits[t * group + g] = seen;
    }
    const std::int64_t pages = (limit + kPageTokens - 1) / kPageTokens;
    for (std::int64_t p = 0; p < pages; ++p) {
      const std::int32_t page = task.sequence->cache->pages()[static_cast<std::size_t>(p)];
      work.keys[p] = pool.stream(page, layer, 0) + head_offset;
      work.values[p] = pool.stream(page, layer, 1) + head_offset;
    }
    // The group's heads lie side by side in q, so a row of (token, head in group) is contiguous, but tokens
    // are a full row apart: gather them when there is more than one.
    const float* rows = q + first_row * width + task.kv_head * group * head_dim;
    float* result = out + first_row * width + task.kv_head * group * head_dim;
    const bool gather = task.count > 1;
    if (gather)
      for (std::int64_t t = 0; t < task.count; ++t)
        std::memcpy(work.q + t * group * head_dim, rows + t * width,
                    static_cast<std::size_t>(group * head_dim) * sizeof(float));
    const AttendArgs args{gather ? work.q : rows,
                          head_dim,
                          static_cast<int>(task.count * group),
                          head_dim,
                          head_dim,
                          scale,
                          work.limits,
                          work.keys,
                          work.values,
                          gather ? work.out : result,
                          head_dim,
                          work.scores};
    attend_rows(args);
    if (gather)
      for (std::int64_t t = 0; t < task.count; ++t)
        std::memcpy(result + t * width, work.out + t * group * head_dim,
                    static_cast<std::size_t>(group * head_dim) * sizeof(float));
  });
}

}  // namespace deepwell
