// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/expanded_attention.h"

#include <algorithm>

#include "engine/nn/attend_kernels.h"
#include "engine/nn/cache_elements.h"

namespace deepwell {
namespace {

// Query rows of a head that share one pass over a page.
constexpr std::int64_t kRowsPerTask = 144;
// Heads are taken together as far as their keys and values fit in this.
constexpr std::int64_t kExpandedBytes = 64 << 20;

/// The tiles of one page's entries, in a thread's memory.
struct PageTiles {
  static constexpr std::int64_t kCount = (kPageTokens + kMaxTileWidth - 1) / kMaxTileWidth;
  Activation kind;
  ActivationTile tiles[kCount];

  static std::int64_t bytes(Activation kind, std::int64_t k) {
    return kCount * static_cast<std::int64_t>(tile_bytes(kind, k, kMaxTileWidth));
  }
  PageTiles(Activation which, std::int64_t k, const float* entries, std::int64_t stride, std::byte* memory)
      : kind(which) {
    const auto each = static_cast<std::int64_t>(tile_bytes(kind, k, kMaxTileWidth));
    for (std::int64_t i = 0; i < kCount; ++i) {
      const std::int64_t first = i * kMaxTileWidth,
                         columns = std::min<std::int64_t>(kMaxTileWidth, kPageTokens - first);
      tiles[i] = tile_over(kind, k, tile_width(columns), memory + i * each);
      const float* rows[kMaxTileWidth] = {};
      for (std::int64_t c = 0; c < columns; ++c) rows[c] = entries + (first + c) * stride;
      prepare_kernel(kind)(rows, tiles[i]);
    }
  }
};

std::int64_t pages_of(std::int64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

std::int64_t heads_at_once(std::int64_t heads, std::int64_t page_floats, std::int64_t pages) {
  return std::clamp<std::int64_t>(kExpandedBytes / 4 / (pages * page_floats), 1, heads);
}

}  // namespace

std::int64_t ExpandedAttention::expanded_floats(std::int64_t heads, std::int64_t query, std::int64_t value,
                                                std::int64_t seen) {
  const std::int64_t pages = pages_of(seen),
                     page_floats = std::max<std::int64_t>(1, query + value) * kPageTokens;
  return heads_at_once(heads, page_floats, pages) * pages * page_floats;
}

void ExpandedAttention::attend(const float* q, const HeadLinear& keys, const HeadLinear& values,
                               const Batch& batch, const BatchSequence& sequence, std::int64_t layer,
                               float* out, Context& context) const {
  const AttendKernel attend_rows(CacheType::kF32, context.exact, kRowsPerTask);
  const ScratchScope scope(context.scratch);
  const PagePool& pool = sequence.cache->pool();
  const CacheType type = pool.layout().type;
  const std::int64_t query = nope + rope, entry = latent + rope, threads = context.pool.threads();
  const std::int64_t seen =
      batch.positions[static_cast<std::size_t>(sequence.first + sequence.count - 1)] + 1;
  const std::int64_t pages = pages_of(seen);
  const std::int64_t key_page = query * kPageTokens, value_page = value * kPageTokens;  // floats
  const std::int64_t together = heads_at_once(heads, key_page + value_page, pages);
  float* expanded_keys =
      context.scratch.take<float>(together * pages * key_page);  // (head, page, query, token)
  float* expanded_values =
      context.scratch.take<float>(together * pages * value_page);  // (head, page, token, value)

  const Activation key_kind = keys.product().activation(context.exact);
  const Activation value_kind = values.product().activation(context.exact);
  struct Work {
    float *entries, *made, *scores;
    std::byte *key_tiles, *value_tiles;
    std::int32_t* limits;
    const std::byte **keys, **values;
  };
  auto* works = context.scratch.take<Work>(threads);
  for (std::int64_t i = 0; i < threads; ++i)
    works[i] = {context.scratch.take<float>(kPageTokens * entry),
                context.scratch.take<float>(kPageTokens * nope),
                context.scratch.take<float>(attend_rows.scratch_floats(kRowsPerTask, query, value)),
                context.scratch.take<std::byte>(PageTiles::bytes(key_kind, latent)),
                context.scratch.take<std::byte>(PageTiles::bytes(value_kind, latent)),
                context.scratch.take<std::int32_t>(kRowsPerTask),
                context.scratch.take<const std::byte*>(pages),
                context.scratch.take<const std::byte*>(pages)};

  for (std::int64_t first_head = 0; first_head < heads; first_head += together) {
    const std::int64_t count = std::min(together, heads - first_head);
    context.pool.run(pages, [&](std::int64_t page, int thread) {
      const Work& work = works[thread];
      const std::int64_t tokens = std::min<std::int64_t>(kPageTokens, seen - page * kPageTokens);
      const std::byte* from = pool.stream(sequence.cache->pages()[static_cast<std::size_t>(page)], layer, 0);
      get_cache_vectors(type, from, tokens, entry, work.entries);
      std::fill(work.entries + tokens * entry, work.entries + kPageTokens * entry, 0.0F);
      const PageTiles key_tiles(key_kind, latent, work.entries, entry, work.key_tiles);
      const PageTiles value_tiles(value_kind, latent, work.entries, entry, work.value_tiles);
      for (std::int64_t h = 0; h < count; ++h) {
        keys.product().multiply(first_head + h, 0, keys.product().weights().groups(), key_tiles.tiles,
                                kPageTokens, work.made, nope, false, context.exact);
        float* key = expanded_keys + (h * pages + page) * key_page;
        for (std::int64_t d = 0; d < nope; ++d)
          for (std::int64_t t = 0; t < kPageTokens; ++t) key[d * kPageTokens + t] = work.made[t * nope + d];
        for (std::int64_t d = 0; d < rope; ++d)
          for (std::int64_t t = 0; t < kPageTokens; ++t)
            key[(nope + d) * kPageTokens + t] = work.entries[t * entry + latent + d];
        values.product().multiply(first_head + h, 0, values.product().weights().groups(), value_tiles.tiles,
                                  kPageTokens, expanded_values + (h * pages + page) * value_page, value,
                                  false, context.exact);
      }
    });
    const std::int64_t blocks = (sequence.count + kRowsPerTask - 1) / kRowsPerTask;
    context.pool.run(blocks * count, [&](std::int64_t task, int thread) {
      const Work& work = works[thread];
      // The last rows see the most: they go first.
      const std::int64_t h = task % count, block = blocks - 1 - task / count;
      const std::int64_t row = sequence.first + block * kRowsPerTask;
      const std::int64_t rows = std::min(kRowsPerTask, sequence.first + sequence.count - row);
      for (std::int64_t r = 0; r < rows; ++r)
        work.limits[r] = batch.positions[static_cast<std::size_t>(row + r)] + 1;
      for (std::int64_t page = 0; page < pages; ++page) {
        work.keys[page] = reinterpret_cast<const std::byte*>(expanded_keys + (h * pages + page) * key_page);
        work.values[page] =
            reinterpret_cast<const std::byte*>(expanded_values + (h * pages + page) * value_page);
      }
      const std::int64_t head = first_head + h;
      attend_rows(AttendArgs{q + (row * heads + head) * query, heads * query, static_cast<int>(rows), query,
                             value, scale, work.limits, work.keys, work.values,
                             out + (row * heads + head) * value, heads * value, work.scores});
    });
  }
}

}  // namespace deepwell
