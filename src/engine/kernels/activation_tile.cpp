// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/activation_tile.h"

#include "base/check.h"

namespace deepwell {
namespace {

/// Walks a block of memory, handing out 64-byte aligned arrays; with no memory it only measures.
struct Carver {
  std::byte* memory;
  std::size_t used = 0;
  template <class T>
  T* take(std::int64_t count) {
    T* at = memory == nullptr ? nullptr : reinterpret_cast<T*>(memory + used);
    used += (static_cast<std::size_t>(count) * sizeof(T) + 63) / 64 * 64;
    return at;
  }
};

ActivationTile carve(Activation kind, std::int64_t k, int width, Carver& carver) {
  ActivationTile tile;
  tile.kind = kind;
  tile.width = width;
  tile.k = k;
  switch (kind) {
    case Activation::kF32:
      tile.floats = carver.take<float>(k * width);
      break;
    case Activation::kBf16:
      tile.bf16 = carver.take<std::uint32_t>((k + 1) / 2 * width);
      break;
    case Activation::kQ8x32:
      DW_CHECK(k % 32 == 0);
      tile.steps = carver.take<std::int32_t>(k / 4 * width);
      tile.scales = carver.take<float>(k / 32 * width);
      tile.scaled_sums = carver.take<float>(k / 32 * width);
      for (auto& start : tile.starts) start = carver.take<std::int32_t>(k / 32 * width);
      break;
    case Activation::kQ8x256:
      DW_CHECK(k % 256 == 0);
      tile.steps = carver.take<std::int32_t>(k / 4 * width);
      tile.scales = carver.take<float>(k / 256 * width);
      tile.sum_pairs = carver.take<std::int32_t>(k / 64 * width);
      tile.run_pairs = carver.take<std::int32_t>(k / 32 * width);
      tile.starts[0] = carver.take<std::int32_t>(k / 16 * width);
      tile.starts[1] = carver.take<std::int32_t>(k / 256 * width);
      break;
  }
  return tile;
}

}  // namespace

std::size_t tile_bytes(Activation kind, std::int64_t k, int width) {
  Carver carver{nullptr};
  carve(kind, k, width, carver);
  return carver.used;
}

ActivationTile tile_over(Activation kind, std::int64_t k, int width, std::byte* memory) {
  Carver carver{memory};
  return carve(kind, k, width, carver);
}

}  // namespace deepwell
