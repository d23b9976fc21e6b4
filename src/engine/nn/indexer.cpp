// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/indexer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/kernels/index_scores.h"
#include "engine/nn/cache_elements.h"

namespace deepwell {
namespace {

IndexScoresF16::Fn* scores_kernel(CacheType type) {
  static IndexScoresF16::Fn* const f16 = best_kernel<IndexScoresF16>();
  static IndexScoresBf16::Fn* const bf16 = best_kernel<IndexScoresBf16>();
  static IndexScoresF32::Fn* const f32 = best_kernel<IndexScoresF32>();
  static IndexScoresQ8::Fn* const q8 = best_kernel<IndexScoresQ8>();
  return type == CacheType::kF16 ? f16 : type == CacheType::kBF16 ? bf16 : type == CacheType::kF32 ? f32 : q8;
}

/// The `most` best-scored of `count` positions, ascending; among equals the earlier one. Requires numbers.
void best(const float* scores, std::int32_t count, std::int64_t most, std::int32_t* ids, std::int32_t* work) {
  std::iota(work, work + count, 0);
  std::nth_element(work, work + most, work + count, [scores](std::int32_t a, std::int32_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });
  std::sort(work, work + most);
  std::copy(work, work + most, ids);
}

constexpr float kLayerNormEps = 1e-6F;

void layer_norm(float* x, const std::vector<float>& scale, const std::vector<float>& bias) {
  const std::size_t n = scale.size();
  double mean = 0, variance = 0;
  for (std::size_t i = 0; i < n; ++i) mean += double{x[i]};
  mean /= static_cast<double>(n);
  for (std::size_t i = 0; i < n; ++i) variance += (double{x[i]} - mean) * (double{x[i]} - mean);
  const double inverse = 1 / std::sqrt(variance / static_cast<double>(n) + double{kLayerNormEps});
  for (std::size_t i = 0; i < n; ++i)
    x[i] = static_cast<float>((double{x[i]} - mean) * inverse * double{scale[i]} + double{bias[i]});
}

}  // namespace

void IndexKeys::remember(Input& x, const Batch& batch, std::int64_t layer, std::int64_t stream,
                         const Rope& rope, const Rope::Table& angles, Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t width = k.rows();
  float* keys = context.scratch.take<float>(batch.rows() * width);  // (rows, width)
  multiply(x, {{&k, keys, width}}, context);
  for (const BatchSequence& sequence : batch.sequences)
    for (std::int64_t row = sequence.first; row < sequence.first + sequence.count; ++row) {
      float* key = keys + row * width;
      layer_norm(key, k_scale, k_bias);
      rope.rotate(key, angles, row);
      put_cache_vector(sequence.cache->pool().layout().type, key, width,
                       sequence.cache->entry(layer, stream, batch.positions[static_cast<std::size_t>(row)]));
    }
}

void EntryKeys::remember(const float* latents, const Batch& batch, std::int64_t layer, std::int64_t stream,
                         const CompletedBlocks& blocks, const Rope& rope, Context& context) const {
  if (blocks.count == 0) return;
  const ScratchScope scope(context.scratch);
  const std::int64_t width = k.rows();
  float* keys = context.scratch.take<float>(blocks.count * width);  // (blocks, width)
  Input input(latents, blocks.count, k.k(), k.k(), context);
  multiply(input, {{&k, keys, width}}, context);
  norm.apply(keys, blocks.count, keys, context);
  for (const BatchSequence& sequence : batch.sequences) {
    const auto [first, end] = blocks.of(sequence);
    for (std::int64_t i = first; i < end; ++i) {
      rope.rotate(keys + (i + 1) * width - 2 * rope.pairs(), blocks.angles, i);
      put_cache_vector(sequence.cache->pool().layout().type, keys + i * width, width,
                       sequence.cache->entry(layer, stream, blocks.last_position(batch, i)));
    }
  }
}

/// A thread's.
struct Indexer::Work {
  float* scores;           // (entries seen at most)
  float* block_scores;     // (blocks of those)
  std::int32_t* order;     // (entries)
  const std::byte** keys;  // (pages, or blocks)
};

IndexRoom IndexRoom::take(const Batch& batch, std::int64_t top_k, std::int64_t blocks, Context& context) {
  const std::int64_t rows = batch.rows();  // of which none sees more entries than it has tokens before it
  const std::int64_t longest = 1 + *std::max_element(batch.positions.begin(), batch.positions.end());
  const std::int64_t most = std::min(top_k, longest), blocks_most = std::min(blocks, longest);
  const Selection selection{context.scratch.take<std::int32_t>(rows * most),
                            context.scratch.take<std::int32_t>(rows), most};
  return {selection, context.scratch.take<std::int32_t>(rows * blocks_most), blocks_most};
}

/// Of one row: q (heads, width), weights (heads); `chosen` gets the entries, whose number it returns. `kept`
/// are the blocks, written or read.
std::int32_t Indexer::choose(const float* q, const float* weights, const SequenceCache& cache,
                             std::int64_t layer, std::int32_t seen, std::int32_t* kept, std::int32_t* chosen,
                             const Work& work) const {
  const PagePool& pool = cache.pool();
  const CacheType type = pool.layout().type;
  const std::int64_t page_entries = kPageTokens / tokens_per_entry, bytes = cache_vector_bytes(type, width);
  const bool limited = blocks.limit(seen), among = limited && blocks.part == IndexBlocks::Part::kUse;
  // What is scored lies in runs: pages, or the blocks kept, of which the last is the last that is seen.
  const std::int64_t run = among ? blocks.entries : page_entries;
  const std::int64_t left_out = among ? (blocks.of(seen) - blocks.most) * blocks.entries : 0;
  const auto count = static_cast<std::int32_t>(seen - left_out);
  for (std::int64_t i = 0; i * run < count; ++i) {
    const std::int64_t first = (among ? kept[i] : i) * run;
    work.keys[i] = pool.stream(cache.pages()[static_cast<std::size_t>(first / page_entries)], layer, stream) +
                   first % page_entries * bytes;
  }
  scores_kernel(type)(
      {q, weights, static_cast<int>(heads), width, work.keys, count, work.scores, static_cast<int>(run)});
  for (std::int32_t i = 0; i < count; ++i)
    if (std::isnan(work.scores[i])) work.scores[i] = -INFINITY;  // broken weights: choosing needs an order
  if (limited && !among) {
    const auto all = static_cast<std::int32_t>(blocks.of(seen));
    for (std::int64_t b = 0; b < all; ++b)
      work.block_scores[b] =
          *std::max_element(work.scores + b * blocks.entries,
                            work.scores + std::min<std::int64_t>(seen, (b + 1) * blocks.entries));
    work.block_scores[all - 1] = INFINITY;  // the latest is always kept
    best(work.block_scores, all, blocks.most, kept, work.order);
  }
  const std::int64_t most = std::min<std::int64_t>(count, top_k);
  best(work.scores, count, most, chosen, work.order);
  if (among)
    for (std::int64_t i = 0; i < most; ++i)
      chosen[i] = static_cast<std::int32_t>(kept[chosen[i] / run] * run + chosen[i] % run);
  return static_cast<std::int32_t>(most);
}

Selection Indexer::select(Input& x, Input& low, const Batch& batch, std::int64_t layer, const Rope& rope,
                          const Rope::Table& angles, const IndexRoom& room, Context& context) const {
  const auto seen_at = [&](std::int32_t position) { return (position + 1) / tokens_per_entry; };
  const std::int32_t longest = seen_at(*std::max_element(batch.positions.begin(), batch.positions.end()));
  if (!chooses(longest)) return {};
  const ScratchScope scope(context.scratch);
  const std::int64_t rows = batch.rows();
  float* q = context.scratch.take<float>(rows * heads * width);  // (rows, heads, width)
  float* weights = context.scratch.take<float>(rows * heads);    // (rows, heads)
  multiply(low, {{&q_b, q, heads * width}}, context);
  Context precise{context.pool, context.scratch, /*exact=*/true};
  Input precise_x(x.row(0), rows, x.k(), x.k(), precise);
  multiply(precise_x, {{&weight, weights, heads}}, precise);
  const float scale = 1.0F / std::sqrt(static_cast<float>(heads * width));
  const std::int64_t runs =
      longest / std::min<std::int64_t>(blocks.entries, kPageTokens / tokens_per_entry) + 1;
  auto* works = context.scratch.take<Work>(context.pool.threads());
  for (int i = 0; i < context.pool.threads(); ++i)
    works[i] = {context.scratch.take<float>(longest), context.scratch.take<float>(runs),
                context.scratch.take<std::int32_t>(longest), context.scratch.take<const std::byte*>(runs)};
  for (const BatchSequence& sequence : batch.sequences)
    context.pool.run(sequence.count, [&](std::int64_t i, int thread) {
      const std::int64_t row = sequence.first + i;
      const std::int32_t seen = seen_at(batch.positions[static_cast<std::size_t>(row)]);
      std::int32_t* chosen = room.selection.ids + row * room.selection.most;
      if (!chooses(seen)) {
        room.selection.counts[row] = seen;
        std::iota(chosen, chosen + seen, 0);
        return;
      }
      for (std::int64_t h = 0; h < heads; ++h) {
        rope.rotate(q + (row * heads + h) * width + rotated_from, angles, row);
        weights[row * heads + h] *= scale;
      }
      room.selection.counts[row] =
          choose(q + row * heads * width, weights + row * heads, *sequence.cache, layer, seen,
                 room.blocks + row * room.blocks_most, chosen, works[thread]);
    });
  return room.selection;
}

}  // namespace deepwell
