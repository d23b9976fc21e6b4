// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/linear.h"

#include <algorithm>

namespace deepwell {
namespace {

// A chunk of weight rows that stays in the L2 cache while the tiles of a prompt pass over it.
constexpr std::int64_t kChunkBytes = 192 * 1024;
// Tokens below which spreading the quantization costs more than it saves.
constexpr std::int64_t kSpreadElements = 16 * 1024;

Gemm::Fn* find_gemm(const std::string& name) {
  const std::vector<Kernel> variants = usable_kernels(name);
  return variants.empty() ? nullptr : reinterpret_cast<Gemm::Fn*>(variants.back().fn);
}
Gemm::Fn* find_gemm(const WeightFormat& format) {
  return find_gemm(format.wide == Wide::kNone ? Gemm::name(format.type) : std::string(GemmWide::kName));
}

}  // namespace

PrepareTile::Fn* prepare_kernel(Activation kind) {
  switch (kind) {
    case Activation::kBf16: {
      static PrepareTile::Fn* const fn = best_kernel<PrepareBf16>();
      return fn;
    }
    case Activation::kQ8x32: {
      static PrepareTile::Fn* const fn = best_kernel<PrepareQ8x32>();
      return fn;
    }
    case Activation::kQ8x256: {
      static PrepareTile::Fn* const fn = best_kernel<PrepareQ8x256>();
      return fn;
    }
    default: {
      static PrepareTile::Fn* const fn = best_kernel<PrepareF32>();
      return fn;
    }
  }
}

PackedProduct::PackedProduct(PackedMatrix weights)
    : weights_(std::make_shared<PackedMatrix>(std::move(weights))),
      fast_(weights_->factors().empty() ? find_gemm(weights_->format()) : nullptr),
      one_tile_(fast_ != nullptr && weights_->format().wide != Wide::kNone
                    ? find_gemm(Gemm::name(weights_->format().type))
                    : nullptr) {}

Activation PackedProduct::activation(bool exact) const {
  return fast_ == nullptr || exact ? Activation::kF32 : weights_->format().activation;
}

std::int64_t PackedProduct::chunk_groups(int threads) const {
  constexpr std::int64_t kTogether = 4;  // groups that the kernels of one column take at once
  const std::int64_t even = (weights_->groups() + threads * 4 - 1) / (threads * 4);
  const std::int64_t chunk = std::min(kChunkBytes / weights_->group_bytes(), even);
  return std::max<std::int64_t>(chunk / kTogether, 1) * kTogether;
}

void PackedProduct::multiply(std::int64_t slab, std::int64_t first, std::int64_t count,
                             std::span<const ActivationTile> tiles, std::int64_t tokens, float* y,
                             std::int64_t y_stride, bool accumulate, bool exact) const {
  // Exact activations, and types without a kernel here, go through floats, others are widened: a group at a
  // time, for all tokens.
  static Gemm::Fn* const float_gemm = find_gemm(Gemm::name(TypeId::kF32));
  static const WeightFormat* const f32 = find_weight_format(TypeId::kF32);
  const WeightFormat& format = weights_->format();
  const bool unpack = fast_ == nullptr || (exact && format.activation != Activation::kF32);
  const bool as_they_lie = !unpack && one_tile_ != nullptr && tiles.size() == 1;
  const bool widen = !unpack && !as_they_lie && format.wide != Wide::kNone;
  Gemm::Fn* const gemm = unpack ? float_gemm : as_they_lie ? one_tile_ : fast_;
  thread_local std::vector<float> memory;
  float* floats = nullptr;
  if (unpack || widen) {
    memory.resize(static_cast<std::size_t>(weights_->k() * kGroupRows + 16));
    floats = memory.data();
    while (reinterpret_cast<std::uintptr_t>(floats) % 64 != 0) ++floats;
  }
  const std::byte* const packed = weights_->groups(slab, first, count);
  const std::int64_t step = unpack || widen ? 1 : count;
  for (std::int64_t g = first; g < first + count; g += step) {
    const std::byte* groups = packed + (g - first) * weights_->group_bytes();
    if (unpack) {
      format.unpack(groups, weights_->k(), floats);
      if (!weights_->factors().empty()) {
        const float factor = weights_->factors()[static_cast<std::size_t>(slab)];
        for (std::int64_t i = 0; i < weights_->k() * kGroupRows; ++i) floats[i] *= factor;
      }
    } else if (widen) {  // less than the floats would take
      format.widen(groups, weights_->k(), reinterpret_cast<std::byte*>(floats));
    }
    if (floats != nullptr) groups = reinterpret_cast<const std::byte*>(floats);
    std::int64_t token = 0;
    for (const ActivationTile& tile : tiles) {
      const auto columns = static_cast<int>(std::min<std::int64_t>(tile.width, tokens - token));
      const GemmArgs args{unpack ? f32 : &format,
                          groups,
                          step,
                          weights_->rows() - g * kGroupRows,
                          &tile,
                          columns,
                          y + token * y_stride + g * kGroupRows,
                          y_stride,
                          accumulate,
                          &tile == tiles.data()};
      gemm == nullptr ? gemm_reference(args) : gemm(args);
      token += columns;
    }
  }
}

std::span<const ActivationTile> Input::tiles(Activation kind) {
  std::span<const ActivationTile>& made = tiles_[static_cast<int>(kind)];
  if (!made.empty() || tokens_ == 0) return made;
  const std::int64_t count = (tokens_ + kMaxTileWidth - 1) / kMaxTileWidth;
  auto* tiles = context_.scratch.take<ActivationTile>(count);
  for (std::int64_t i = 0; i < count; ++i) {
    const int width = tile_width(tokens_ - i * kMaxTileWidth);
    tiles[i] =
        tile_over(kind, k_, width,
                  context_.scratch.take<std::byte>(static_cast<std::int64_t>(tile_bytes(kind, k_, width))));
  }
  PrepareTile::Fn* const prepare = prepare_kernel(kind);
  const auto body = [&](std::int64_t i, int) {
    const float* columns[kMaxTileWidth] = {};
    for (int c = 0; c < kMaxTileWidth && i * kMaxTileWidth + c < tokens_; ++c)
      columns[c] = row(i * kMaxTileWidth + c);
    prepare(columns, tiles[i]);
  };
  if (tokens_ * k_ < kSpreadElements)
    for (std::int64_t i = 0; i < count; ++i) body(i, 0);
  else
    context_.pool.run(count, body);
  made = {tiles, static_cast<std::size_t>(count)};
  return made;
}

Linear::Linear(PackedProduct weights, std::vector<float> bias)
    : product_(std::move(weights)), bias_(std::move(bias)) {
  DW_CHECK(bias_.empty() || static_cast<std::int64_t>(bias_.size()) == rows());
}

void multiply(Input& input, std::initializer_list<Product> products, Context& context) {
  struct Stretch {  // what a node has of a product
    const Product* product;
    std::span<const ActivationTile> tiles;
    SliceChunks chunks;
    std::int64_t first_task;
  };
  constexpr std::size_t kMostProducts = 4;
  DW_CHECK(products.size() <= kMostProducts);
  const std::int64_t tokens = input.tokens();
  const int nodes = context.pool.nodes();
  auto* stretches = context.scratch.take<Stretch>(static_cast<std::int64_t>(products.size()) * nodes);
  std::int64_t bounds[kMostNodes + 1] = {};  // of tasks
  std::int64_t tasks = 0;
  int count = 0;
  for (int n = 0; n < nodes; ++n) {
    for (const Product& product : products) {
      const PackedProduct& packed = product.linear->product();
      DW_CHECK(packed.weights().k() == input.k());
      const SliceChunks chunks({packed.weights().groups(), nodes}, n,
                               packed.chunk_groups(context.pool.threads()));
      stretches[count++] = {&product, input.tiles(packed.activation(context.exact)), chunks, tasks};
      tasks += chunks.count();
    }
    bounds[n + 1] = tasks;
  }
  // A matrix of few rows (a router, an indexer) is too little for every thread: its tokens are shared out
  // too.
  const std::int64_t tiles = (tokens + kMaxTileWidth - 1) / kMaxTileWidth;
  const std::int64_t wanted = 2 * context.pool.threads();
  const std::int64_t parts = std::clamp<std::int64_t>((wanted + tasks - 1) / std::max<std::int64_t>(1, tasks),
                                                      1, std::max<std::int64_t>(1, tiles));
  for (int n = 1; n <= nodes; ++n) bounds[n] *= parts;
  context.pool.run({bounds, static_cast<std::size_t>(nodes) + 1}, [&](std::int64_t share, int) {
    const std::int64_t task = share / parts, part = share % parts;
    const std::int64_t first_tile = tiles * part / parts, end_tile = tiles * (part + 1) / parts;
    const std::int64_t first_token = first_tile * kMaxTileWidth;
    const std::int64_t end_token = std::min(tokens, end_tile * kMaxTileWidth);
    int j = count - 1;
    while (task < stretches[j].first_task) --j;
    const Stretch& stretch = stretches[j];
    const Product& product = *stretch.product;
    const PackedProduct& packed = product.linear->product();
    const std::int64_t chunk = task - stretch.first_task;
    const std::int64_t first = stretch.chunks.first_of(chunk), groups = stretch.chunks.size_of(chunk);
    packed.multiply(0, first, groups,
                    stretch.tiles.subspan(static_cast<std::size_t>(first_tile),
                                          static_cast<std::size_t>(end_tile - first_tile)),
                    end_token - first_token, product.y + first_token * product.y_stride, product.y_stride,
                    product.accumulate, context.exact);
    const std::vector<float>& bias = product.linear->bias();
    if (bias.empty()) return;
    const std::int64_t row = first * kGroupRows;
    const std::int64_t rows = std::min(groups * kGroupRows, packed.weights().rows() - row);
    for (std::int64_t t = first_token; t < end_token; ++t)
      for (std::int64_t r = 0; r < rows; ++r)
        product.y[t * product.y_stride + row + r] += bias[static_cast<std::size_t>(row + r)];
  });
}

}  // namespace deepwell
