// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/linear.h"

#include <sys/mman.h>

#include <algorithm>

namespace deepwell {
namespace {

// A chunk of weight rows that stays in the L2 cache while the tiles of a prompt pass over it.
constexpr std::int64_t kChunkBytes = 192 * 1024;
// Tokens below which spreading the quantization costs more than it saves.
constexpr std::int64_t kSpreadElements = 16 * 1024;

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

Gemm::Fn* find_gemm(TypeId type) {
  const std::vector<Kernel> variants = usable_kernels(Gemm::name(type));
  return variants.empty() ? nullptr : reinterpret_cast<Gemm::Fn*>(variants.back().fn);
}

/// Multiplies groups [first, first + count) by every tile, through floats: for exact activations and for
/// types that have no kernel on this machine.
void multiply_unpacked(const PackedMatrix& w, std::int64_t first, std::int64_t count,
                       std::span<const ActivationTile> tiles, const Product& product, std::int64_t tokens,
                       std::vector<float>& unpacked) {
  static Gemm::Fn* const gemm = find_gemm(TypeId::kF32);
  static const WeightFormat* const f32 = find_weight_format(TypeId::kF32);
  unpacked.resize(static_cast<std::size_t>(w.k() * kGroupRows + 16));
  float* floats = unpacked.data();
  while (reinterpret_cast<std::uintptr_t>(floats) % 64 != 0) ++floats;
  for (std::int64_t g = first; g < first + count; ++g) {
    w.format().unpack(w.group(g), w.k(), floats);
    std::int64_t token = 0;
    for (const ActivationTile& tile : tiles) {
      const auto columns = static_cast<int>(std::min<std::int64_t>(tile.width, tokens - token));
      const GemmArgs args{f32,
                          reinterpret_cast<const std::byte*>(floats),
                          1,
                          w.rows() - g * kGroupRows,
                          &tile,
                          columns,
                          product.y + token * product.y_stride + g * kGroupRows,
                          product.y_stride,
                          product.accumulate};
      if (gemm != nullptr)
        gemm(args);
      else
        gemm_reference(args);
      token += columns;
    }
  }
}

}  // namespace

void PackedMatrix::Unmap::operator()(std::byte* memory) const { ::munmap(memory, bytes); }

PackedMatrix::PackedMatrix(const WeightFormat& format, std::int64_t rows, std::int64_t k,
                           std::span<const std::byte> file_rows, ThreadPool& pool)
    : format_(&format), rows_(rows), k_(k), group_bytes_(format.group_bytes(k)) {
  const TypeInfo& info = type_info(format.type);
  const std::int64_t row_bytes = k / info.block_elements * info.block_bytes;
  DW_CHECK(k % info.block_elements == 0);
  DW_CHECK(static_cast<std::int64_t>(file_rows.size()) == rows * row_bytes);
  const auto size = static_cast<std::size_t>(groups() * group_bytes_);
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  DW_CHECK(memory != MAP_FAILED);
  if (size >= (std::size_t{8} << 20)) ::madvise(memory, size, MADV_HUGEPAGE);
  memory_ = std::unique_ptr<std::byte, Unmap>(static_cast<std::byte*>(memory), Unmap{size});
  pool.run(groups(), [&](std::int64_t g, int) {
    const std::byte* pointers[kGroupRows];
    for (std::int64_t r = 0; r < kGroupRows; ++r) {
      const std::int64_t row = g * kGroupRows + r;
      pointers[r] = row < rows_ ? file_rows.data() + row * row_bytes : nullptr;
    }
    format_->pack(pointers, k_, memory_.get() + g * group_bytes_);
  });
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

Linear::Linear(PackedMatrix weights, std::vector<float> bias)
    : weights_(std::move(weights)), bias_(std::move(bias)), fast_(find_gemm(weights_.format().type)) {
  DW_CHECK(bias_.empty() || static_cast<std::int64_t>(bias_.size()) == rows());
}

void multiply(Input& input, std::initializer_list<Product> products, Context& context) {
  struct Job {
    const Product* product;
    bool fast;
    std::span<const ActivationTile> tiles;
    std::int64_t chunk_groups, first_task;
  };
  Job jobs[4];
  DW_CHECK(products.size() <= 4);
  const std::int64_t tokens = input.tokens();
  std::int64_t tasks = 0;
  int count = 0;
  for (const Product& product : products) {
    const PackedMatrix& w = product.linear->weights();
    DW_CHECK(w.k() == input.k());
    const bool fast = product.linear->fast_ != nullptr && !context.exact;
    const bool float_weights = w.format().activation == Activation::kF32;
    Job& job = jobs[count++];
    job = {&product, fast || (float_weights && product.linear->fast_ != nullptr),
           input.tiles(fast ? w.format().activation : Activation::kF32), 0, tasks};
    // Small enough to share evenly and to stay in cache, large enough to be worth a claim.
    const std::int64_t even = (w.groups() + context.pool.threads() * 4 - 1) / (context.pool.threads() * 4);
    job.chunk_groups = std::clamp<std::int64_t>(kChunkBytes / w.group_bytes(), 1, even);
    tasks += (w.groups() + job.chunk_groups - 1) / job.chunk_groups;
  }
  context.pool.run(tasks, [&](std::int64_t task, int) {
    int j = count - 1;
    while (task < jobs[j].first_task) --j;
    const Job& job = jobs[j];
    const Product& product = *job.product;
    const PackedMatrix& w = product.linear->weights();
    const std::int64_t first = (task - job.first_task) * job.chunk_groups;
    const std::int64_t groups = std::min(job.chunk_groups, w.groups() - first);
    if (job.fast) {
      std::int64_t token = 0;
      for (const ActivationTile& tile : job.tiles) {
        const auto columns = static_cast<int>(std::min<std::int64_t>(tile.width, tokens - token));
        const GemmArgs args{&w.format(),
                            w.group(first),
                            groups,
                            w.rows() - first * kGroupRows,
                            &tile,
                            columns,
                            product.y + token * product.y_stride + first * kGroupRows,
                            product.y_stride,
                            product.accumulate};
        product.linear->fast_(args);
        token += columns;
      }
    } else {
      thread_local std::vector<float> unpacked;
      multiply_unpacked(w, first, groups, job.tiles, product, tokens, unpacked);
    }
    const std::vector<float>& bias = product.linear->bias();
    if (bias.empty()) return;
    const std::int64_t row = first * kGroupRows;
    const std::int64_t rows = std::min(groups * kGroupRows, w.rows() - row);
    for (std::int64_t t = 0; t < tokens; ++t)
      for (std::int64_t r = 0; r < rows; ++r)
        product.y[t * product.y_stride + row + r] += bias[static_cast<std::size_t>(row + r)];
  });
}

}  // namespace deepwell
