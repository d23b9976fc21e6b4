// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/indexer.h"

#include <algorithm>
#include <cmath>

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

/// The `most` best-scored of `count` positions, ascending; among equals the earlier one. What is no number
/// (broken weights) is worse than all: selection needs an order.
void choose(float* scores, std::int32_t count, std::int64_t most, std::int32_t* ids, std::int32_t* work) {
  for (std::int32_t i = 0; i < count; ++i) {
    work[i] = i;
    if (std::isnan(scores[i])) scores[i] = -INFINITY;
  }
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
  for (const BatchSequence& sequence : batch.sequences) {
    const PagePool& pool = sequence.cache->pool();
    const CacheType type = pool.layout().type;
    for (std::int64_t row = sequence.first; row < sequence.first + sequence.count; ++row) {
      float* key = keys + row * width;
      layer_norm(key, k_scale, k_bias);
      rope.rotate(key, angles, row);
      const std::int64_t position = batch.positions[static_cast<std::size_t>(row)];
      const std::int32_t page = sequence.cache->pages()[static_cast<std::size_t>(position / kPageTokens)];
      put_cache_vector(
          type, key, width,
          pool.stream(page, layer, stream) + position % kPageTokens * cache_vector_bytes(type, width));
    }
  }
}

Selection Indexer::select(Input& x, Input& low, const Batch& batch, std::int64_t layer, const Rope& rope,
                          const Rope::Table& angles, Context& context) const {
  const auto seen_at = [&](std::int32_t position) { return (position + 1) / tokens_per_entry; };
  const std::int32_t longest = seen_at(*std::max_element(batch.positions.begin(), batch.positions.end()));
  if (longest <= top_k) return {};
  const std::int64_t rows = batch.rows();
  auto* ids = context.scratch.take<std::int32_t>(rows * top_k);  // outlives this call, unlike what follows
  auto* counts = context.scratch.take<std::int32_t>(rows);
  const ScratchScope scope(context.scratch);
  float* q = context.scratch.take<float>(rows * heads * width);  // (rows, heads, width)
  float* weights = context.scratch.take<float>(rows * heads);    // (rows, heads)
  multiply(low, {{&q_b, q, heads * width}}, context);
  Context precise{context.pool, context.scratch, /*exact=*/true};
  Input precise_x(x.row(0), rows, x.k(), x.k(), precise);
  multiply(precise_x, {{&weight, weights, heads}}, precise);
  const float scale = 1.0F / std::sqrt(static_cast<float>(heads * width));
  const int page_entries = kPageTokens / tokens_per_entry;
  struct Work {
    float* scores;
    std::int32_t* order;
    const std::byte** pages;
  };
  auto* works = context.scratch.take<Work>(context.pool.threads());
  for (int i = 0; i < context.pool.threads(); ++i)
    works[i] = {context.scratch.take<float>(longest), context.scratch.take<std::int32_t>(longest),
                context.scratch.take<const std::byte*>(longest / page_entries + 1)};
  for (const BatchSequence& sequence : batch.sequences) {
    const PagePool& pool = sequence.cache->pool();
    context.pool.run(sequence.count, [&](std::int64_t i, int thread) {
      const std::int64_t row = sequence.first + i;
      const Work& work = works[thread];
      const std::int32_t seen = seen_at(batch.positions[static_cast<std::size_t>(row)]);
      std::int32_t* chosen = ids + row * top_k;
      counts[row] = static_cast<std::int32_t>(std::min<std::int64_t>(seen, top_k));
      if (seen <= top_k) {
        for (std::int32_t s = 0; s < seen; ++s) chosen[s] = s;
        return;
      }
      for (std::int64_t h = 0; h < heads; ++h) {
        rope.rotate(q + (row * heads + h) * width + rotated_from, angles, row);
        weights[row * heads + h] *= scale;
      }
      for (std::int64_t p = 0; p * page_entries < seen; ++p)
        work.pages[p] = pool.stream(sequence.cache->pages()[static_cast<std::size_t>(p)], layer, stream);
      scores_kernel(pool.layout().type)({q + row * heads * width, weights + row * heads,
                                         static_cast<int>(heads), width, work.pages, seen, work.scores,
                                         page_entries});
      choose(work.scores, seen, top_k, chosen, work.order);
    });
  }
  return {ids, counts, top_k};
}

}  // namespace deepwell
