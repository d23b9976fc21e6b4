// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/window_attention.h"

#include <algorithm>
#include <cstring>

#include "engine/nn/attend_gathered.h"
#include "engine/nn/cache_elements.h"

namespace deepwell {
void WindowAttention::attend(const float* q, const float* vectors, const Batch& batch, std::int64_t layer,
                             const Entries& entries, float* out, Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t rows = batch.rows();
  const CacheType type = batch.sequences.front().cache->pool().layout().type;
  const std::int64_t bytes = cache_vector_bytes(type, width);  // of a vector
  auto* fresh = context.scratch.take<std::byte>(rows * bytes);
  auto* of_row = context.scratch.take<const BatchSequence*>(rows);
  std::int64_t most = 0;  // entries that a row sees
  for (const BatchSequence& sequence : batch.sequences)
    for (std::int64_t row = sequence.first; row < sequence.first + sequence.count; ++row) {
      put_cache_vector(type, vectors + row * width, width, fresh + row * bytes);
      of_row[row] = &sequence;
      if (entries.tokens_per_entry > 0)
        most = std::max<std::int64_t>(
            most, (batch.positions[static_cast<std::size_t>(row)] + 1) / entries.tokens_per_entry);
    }
  if (entries.selection.ids != nullptr) most = entries.selection.most;

  const std::int64_t page_entries =
      entries.tokens_per_entry > 0 ? std::max<std::int64_t>(1, kPageTokens / entries.tokens_per_entry) : 1;
  const auto entry_at = [&](const SequenceCache& cache, std::int64_t id) {
    const std::int64_t last = (id + 1) * entries.tokens_per_entry - 1;  // the token that completed it
    const std::int32_t page = cache.pages()[static_cast<std::size_t>(last / kPageTokens)];
    return cache.pool().stream(page, entries.layer, entries.stream) + id % page_entries * bytes;
  };
  // Copies what a row sees, the window first; returns how many.
  const auto gather = [&](std::int64_t row, std::byte* to) {
    const BatchSequence& sequence = *of_row[row];
    const std::byte* kept = sequence.cache->rolling(layer, rolling);
    const std::int64_t position = batch.positions[static_cast<std::size_t>(row)];
    const std::int64_t first_fresh = position - (row - sequence.first);
    std::int64_t count = 0;
    const auto copy = [&](const std::byte* from) {
      std::memcpy(to + count++ * bytes, from, static_cast<std::size_t>(bytes));
    };
    for (std::int64_t p = std::max<std::int64_t>(0, position - window + 1); p <= position; ++p)
      copy(p >= first_fresh ? fresh + (sequence.first + p - first_fresh) * bytes : kept + p % ring() * bytes);
    if (entries.selection.ids != nullptr) {
      const std::int32_t* ids = entries.selection.ids + row * entries.selection.most;
      for (std::int32_t i = 0; i < entries.selection.counts[row]; ++i)
        copy(entry_at(*sequence.cache, ids[i]));
    } else if (entries.tokens_per_entry > 0) {
      for (std::int64_t id = 0; id < (position + 1) / entries.tokens_per_entry; ++id)
        copy(entry_at(*sequence.cache, id));
    }
    return static_cast<std::int32_t>(count);
  };
  GatheredAttention{heads, width, width, scale, sinks.data(), type}.attend(q, rows, window + most, gather,
                                                                           out, context);

  // Only now may the ring lose what was in it.
  for (const BatchSequence& sequence : batch.sequences)
    for (std::int64_t row = std::max(sequence.first, sequence.first + sequence.count - ring());
         row < sequence.first + sequence.count; ++row)
      std::memcpy(sequence.cache->rolling(layer, rolling) +
                      batch.positions[static_cast<std::size_t>(row)] % ring() * bytes,
                  fresh + row * bytes, static_cast<std::size_t>(bytes));
}

}  // namespace deepwell
