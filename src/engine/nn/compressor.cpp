// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/compressor.h"

#include <algorithm>
#include <cmath>

#include "engine/kernels/attend.h"
#include "engine/kernels/elementwise.h"
#include "engine/nn/cache_elements.h"

namespace deepwell {
namespace {

// Channels of a task: enough to be worth a claim, few enough that one sequence occupies every thread.
constexpr std::int64_t kChannels = 64;

/// A softmax-weighted sum under way, of some channels.
struct Sum {
  float *highest, *total, *weighted;
  Sum(float* state, std::int64_t width, std::int64_t which, std::int64_t first)
      : highest(state + which * 3 * width + first), total(highest + width), weighted(total + width) {}

  void start(const float* value, const float* gate, const float* bias, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) {
      highest[i] = gate[i] + bias[i];
      total[i] = 1;
      weighted[i] = value[i];
    }
  }
  void add(const float* value, const float* gate, const float* bias, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) {
      const float g = gate[i] + bias[i], now = std::max(highest[i], g);
      const float keep = std::exp(highest[i] - now), share = std::exp(g - now);
      highest[i] = now;
      total[i] = total[i] * keep + share;
      weighted[i] = weighted[i] * keep + share * value[i];
    }
  }
  void copy(const Sum& from, std::int64_t n) {
    std::copy_n(from.highest, n, highest);
    std::copy_n(from.total, n, total);
    std::copy_n(from.weighted, n, weighted);
  }
};

}  // namespace

CompletedBlocks CompletedBlocks::find(const Batch& batch, std::int64_t block_tokens, const Rope& rope,
                                      Context& context) {
  CompletedBlocks blocks{};
  auto* rows = context.scratch.take<std::int32_t>(batch.rows());
  auto* positions = context.scratch.take<std::int32_t>(batch.rows());
  for (std::int32_t row = 0; row < batch.rows(); ++row) {
    const std::int64_t next = batch.positions[static_cast<std::size_t>(row)] + 1;
    if (next % block_tokens != 0) continue;
    rows[blocks.count] = row;
    positions[blocks.count++] = static_cast<std::int32_t>(next - block_tokens);
  }
  blocks.rows = rows;
  blocks.angles = rope.table({positions, static_cast<std::size_t>(blocks.count)}, context);
  return blocks;
}

std::pair<std::int64_t, std::int64_t> CompletedBlocks::of(const BatchSequence& sequence) const {
  const auto before = [&](std::int64_t row) { return std::lower_bound(rows, rows + count, row) - rows; };
  return {before(sequence.first), before(sequence.first + sequence.count)};
}

void Compressor::pool_channels(const float* values, const float* gates, const Batch& batch,
                               const BatchSequence& sequence, float* state, std::int64_t first,
                               std::int64_t count, float* pooled) const {
  const std::int64_t stride = series() * width;
  const std::int64_t own = overlaps ? width : 0;  // where the series of the token's own block begins
  Sum now(state, width, 0, first), next(state, width, overlaps ? 1 : 0, first);
  for (std::int64_t row = sequence.first; row < sequence.first + sequence.count; ++row) {
    const std::int64_t position = batch.positions[static_cast<std::size_t>(row)];
    const std::int64_t slot = position % block_tokens;
    const float *v = values + row * stride + first, *g = gates + row * stride + first;
    const float* slot_bias = bias.data() + slot * stride + first;
    if (slot == 0 && (!overlaps || position == 0)) {
      now.start(v + own, g + own, slot_bias + own, count);
    } else {
      if (slot == 0) now.copy(next, count);
      now.add(v + own, g + own, slot_bias + own, count);
    }
    if (overlaps) {
      if (slot == 0)
        next.start(v, g, slot_bias, count);
      else
        next.add(v, g, slot_bias, count);
    }
    if (slot != block_tokens - 1) continue;
    for (std::int64_t i = 0; i < count; ++i) pooled[first + i] = now.weighted[i] / now.total[i];
    pooled += width;
  }
}

void Compressor::remember(const float* values, const float* gates, const Batch& batch, std::int64_t layer,
                          const CompletedBlocks& blocks, const Rope& rope, Context& context,
                          float* latents) const {
  static RmsNorm::Fn* const rms_norm = best_kernel<RmsNorm>();
  const ScratchScope scope(context.scratch);
  float* pooled = context.scratch.take<float>(blocks.count * width);  // (blocks, width)
  if (block_tokens == 1) {                                            // every row is a block
    std::copy_n(values, blocks.count * width, pooled);
  } else {
    const std::int64_t parts = (width + kChannels - 1) / kChannels;
    context.pool.run(static_cast<std::int64_t>(batch.sequences.size()) * parts, [&](std::int64_t task, int) {
      const BatchSequence& sequence = batch.sequences[static_cast<std::size_t>(task / parts)];
      const std::int64_t first = task % parts * kChannels;
      pool_channels(values, gates, batch, sequence,
                    reinterpret_cast<float*>(sequence.cache->rolling(layer, rolling)), first,
                    std::min(kChannels, width - first), pooled + blocks.of(sequence).first * width);
    });
  }
  for (const BatchSequence& sequence : batch.sequences) {
    const auto [first, end] = blocks.of(sequence);
    for (std::int64_t i = first; i < end; ++i) {
      float* entry = pooled + i * width;
      rms_norm(entry, norm.weight.data(), norm.eps, width, entry);
      if (latents != nullptr) std::copy_n(entry, width, latents + i * width);
      rope.rotate(entry + width - 2 * rope.pairs(), blocks.angles, i);
      put_cache_vector(sequence.cache->pool().layout().type, entry, width,
                       sequence.cache->entry(layer, stream, blocks.last_position(batch, i)));
    }
  }
}

}  // namespace deepwell
