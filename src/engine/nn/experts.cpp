// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/experts.h"

#include <algorithm>

#include "engine/kernels/elementwise.h"
#include "engine/nn/layers.h"

namespace deepwell {

/// Assignments (token, choice) sorted by expert, and each expert's tiles.
struct SortedTokens {
  struct Expert {
    std::int64_t id, first, count;  // assignments
    std::int64_t first_tile;
  };
  Expert* experts;  // those with tokens
  std::int64_t expert_count;
  std::int32_t* token;  // of an assignment
  std::int64_t* place;  // of (token, choice): its assignment
  std::int64_t assignments, tiles;
};

namespace {

using Sorted = SortedTokens;

Sorted sort_by_expert(const Routing& routing, std::int64_t tokens, std::int64_t experts, Scratch& scratch) {
  Sorted sorted{};
  sorted.assignments = tokens * routing.used;
  auto* first = scratch.take<std::int64_t>(experts + 1);
  std::fill(first, first + experts + 1, 0);
  for (std::int64_t i = 0; i < sorted.assignments; ++i) ++first[routing.ids[i] + 1];
  for (std::int64_t e = 0; e < experts; ++e) first[e + 1] += first[e];
  sorted.experts = scratch.take<Sorted::Expert>(experts);
  for (std::int64_t e = 0; e < experts; ++e) {
    const std::int64_t count = first[e + 1] - first[e];
    if (count == 0) continue;
    sorted.experts[sorted.expert_count++] = {e, first[e], count, 0};
  }
  sorted.token = scratch.take<std::int32_t>(sorted.assignments);
  sorted.place = scratch.take<std::int64_t>(sorted.assignments);
  for (std::int64_t i = 0; i < sorted.assignments; ++i) {
    const std::int64_t at = first[routing.ids[i]]++;
    sorted.token[at] = static_cast<std::int32_t>(i / routing.used);
    sorted.place[i] = at;
  }
  return sorted;
}

/// Numbers the experts' tiles in their order.
void place_tiles(Sorted& sorted) {
  sorted.tiles = 0;
  for (std::int64_t e = 0; e < sorted.expert_count; ++e) {
    sorted.experts[e].first_tile = sorted.tiles;
    sorted.tiles += (sorted.experts[e].count + kMaxTileWidth - 1) / kMaxTileWidth;
  }
}

/// Some of the experts, with tiles of their own.
Sorted part_of(const Sorted& sorted, std::int64_t first, std::int64_t count) {
  Sorted part = sorted;
  part.experts += first;
  part.expert_count = count;
  place_tiles(part);
  return part;
}

/// The tiles of all experts; row(assignment) is where its activations are.
template <class Row>
ActivationTile* make_tiles(const Sorted& sorted, Activation kind, std::int64_t k, Context& context, Row row) {
  struct Piece {
    std::int64_t first, columns;
  };
  auto* tiles = context.scratch.take<ActivationTile>(sorted.tiles);
  auto* pieces = context.scratch.take<Piece>(sorted.tiles);
  for (std::int64_t e = 0; e < sorted.expert_count; ++e) {
    const Sorted::Expert& expert = sorted.experts[e];
    for (std::int64_t done = 0, tile = expert.first_tile; done < expert.count;
         done += kMaxTileWidth, ++tile) {
      const std::int64_t columns = std::min<std::int64_t>(kMaxTileWidth, expert.count - done);
      const int width = tile_width(columns);
      pieces[tile] = {expert.first + done, columns};
      tiles[tile] =
          tile_over(kind, k, width,
                    context.scratch.take<std::byte>(static_cast<std::int64_t>(tile_bytes(kind, k, width))));
    }
  }
  PrepareTile::Fn* const prepare = prepare_kernel(kind);
  context.pool.run(sorted.tiles, [&](std::int64_t tile, int) {
    const float* columns[kMaxTileWidth] = {};
    for (std::int64_t c = 0; c < pieces[tile].columns; ++c) columns[c] = row(pieces[tile].first + c);
    prepare(columns, tiles[tile]);
  });
  return tiles;
}

}  // namespace

Experts::Experts(PackedProduct gate, PackedProduct up, PackedProduct down, float limit)
    : gate_(std::move(gate)), up_(std::move(up)), down_(std::move(down)), limit_(limit) {}

void Experts::come_from(std::shared_ptr<ExpertStore> store) {
  layer_ = store->add({gate_.shared_weights(), up_.shared_weights(), down_.shared_weights()});
  store_ = std::move(store);
}

void Experts::add_to(const float* x, std::int64_t tokens, const Routing& routing, float* y,
                     Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t width = gate_.weights().k();
  const Sorted sorted = sort_by_expert(routing, tokens, count(), context.scratch);
  float* out = context.scratch.take<float>(sorted.assignments * width);  // (assignments, width)
  if (store_ == nullptr || !store_->is_open())
    compute(part_of(sorted, 0, sorted.expert_count), x, out, context);
  else
    compute_from_store(sorted, x, out, context);
  // Each token adds its experts in its own order: the sum does not depend on who else is in the batch.
  context.pool.run(tokens, [&](std::int64_t t, int) {
    for (std::int64_t n = 0; n < routing.used; ++n) {
      const float weight = routing.weights[t * routing.used + n];
      const float* from = out + sorted.place[t * routing.used + n] * width;
      for (std::int64_t i = 0; i < width; ++i) y[t * width + i] += weight * from[i];
    }
  });
}

/// Those that are here together, while the others are read; then each as it comes.
void Experts::compute_from_store(const SortedTokens& sorted, const float* x, float* out,
                                 Context& context) const {
  const auto id = [](const Sorted::Expert& expert) { return static_cast<std::int32_t>(expert.id); };
  Sorted::Expert* const end = sorted.experts + sorted.expert_count;
  Sorted::Expert* const missing = std::stable_partition(
      sorted.experts, end, [&](const Sorted::Expert& expert) { return store_->has(layer_, id(expert)); });
  auto* ids = context.scratch.take<std::int32_t>(sorted.expert_count);
  std::transform(sorted.experts, end, ids, id);
  store_->begin(layer_, {ids, static_cast<std::size_t>(sorted.expert_count)});
  const std::int64_t here = missing - sorted.experts;
  if (here > 0) compute(part_of(sorted, 0, here), x, out, context);
  for (std::int64_t e = 0; e < here; ++e) store_->done(layer_, ids[e]);
  for (std::int64_t e = here; e < sorted.expert_count; ++e) {
    const Sorted::Expert& expert = sorted.experts[e];
    if (store_->wait(layer_, ids[e]))
      compute(part_of(sorted, e, 1), x, out, context);
    else  // the step fails; until then nothing may be read that was not written
      std::fill_n(out + expert.first * gate_.weights().k(), expert.count * gate_.weights().k(), 0.0F);
    store_->done(layer_, ids[e]);
  }
}

/// out (assignments, width): what the experts of `sorted` make of their tokens.
void Experts::compute(const SortedTokens& sorted, const float* x, float* out, Context& context) const {
  static SwiGlu::Fn* const swiglu = best_kernel<SwiGlu>();
  const ScratchScope scope(context.scratch);
  const std::int64_t width = gate_.weights().k(), ffn = gate_.weights().rows();
  const bool exact = context.exact;
  const auto tiles_of = [&](const ActivationTile* tiles, const Sorted::Expert& expert) {
    return std::span(tiles + expert.first_tile,
                     static_cast<std::size_t>((expert.count + kMaxTileWidth - 1) / kMaxTileWidth));
  };

  const auto input_row = [&](std::int64_t a) { return x + sorted.token[a] * width; };
  const ActivationTile* inputs = make_tiles(sorted, gate_.activation(exact), width, context, input_row);
  const ActivationTile* up_inputs =
      up_.activation(exact) == gate_.activation(exact)
          ? inputs
          : make_tiles(sorted, up_.activation(exact), width, context, input_row);
  float* h = context.scratch.take<float>(sorted.assignments * ffn);   // (assignments, ffn)
  float* up = context.scratch.take<float>(sorted.assignments * ffn);  // (assignments, ffn)
  {
    const SliceTasks tasks({gate_.weights().groups(), context.pool.nodes()}, sorted.expert_count,
                           std::min(gate_.chunk_groups(1), up_.chunk_groups(1)));
    context.pool.run(tasks.bounds(), [&](std::int64_t task, int) {
      const auto [index, first, count] = tasks[task];
      const Sorted::Expert& expert = sorted.experts[index];
      float* expert_h = h + expert.first * ffn;
      float* expert_up = up + expert.first * ffn;
      gate_.multiply(expert.id, first, count, tiles_of(inputs, expert), expert.count, expert_h, ffn, false,
                     exact);
      up_.multiply(expert.id, first, count, tiles_of(up_inputs, expert), expert.count, expert_up, ffn, false,
                   exact);
      const std::int64_t row = first * kGroupRows, rows = std::min(count * kGroupRows, ffn - row);
      for (std::int64_t a = 0; a < expert.count; ++a) {
        limit_gated(expert_h + a * ffn + row, expert_up + a * ffn + row, limit_, rows);
        swiglu(expert_h + a * ffn + row, expert_up + a * ffn + row, rows, expert_h + a * ffn + row);
      }
    });
  }
  const ActivationTile* hidden =
      make_tiles(sorted, down_.activation(exact), ffn, context, [&](std::int64_t a) { return h + a * ffn; });
  {
    const SliceTasks tasks({down_.weights().groups(), context.pool.nodes()}, sorted.expert_count,
                           down_.chunk_groups(1));
    context.pool.run(tasks.bounds(), [&](std::int64_t task, int) {
      const auto [index, first, count] = tasks[task];
      const Sorted::Expert& expert = sorted.experts[index];
      down_.multiply(expert.id, first, count, tiles_of(hidden, expert), expert.count,
                     out + expert.first * width, width, false, exact);
    });
  }
}

}  // namespace deepwell
