// SPDX-License-Identifier: Apache-2.0
// Every kernel that multiplies weights, alone, on one core, for every number of columns it takes at once:
//   gemm_bench [TYPE...]            (q4_k q6_k ...; all without)
// GOPS: a prompt's case, a chunk of weights that stays in the L2 cache under 16 tiles.
// GB/s: the decoder's case, weights that come from memory for one tile.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <vector>

#include "base/cpu.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/peak.h"
#include "engine/quant/wide_rows.h"
#include "engine/tensor/type.h"

namespace {

using namespace deepwell;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kChunkBytes = 192 * 1024, kMemoryBytes = 256 << 20;
constexpr double kSeconds = 0.15;

struct Aligned {
  explicit Aligned(std::size_t bytes)
      : data(static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64))) {}
  ~Aligned() { std::free(data); }
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;
  std::byte* data;
};

/// Runs `body` (which does `work` units) for a while; units a second of the fastest run.
template <class Body>
double rate(double work, const Body& body) {
  double best = 0;
  int runs = 0;
  const auto end = Clock::now() + std::chrono::duration<double>(kSeconds);
  do {
    const auto start = Clock::now();
    body();
    best = std::max(best, work / std::chrono::duration<double>(Clock::now() - start).count());
  } while (++runs < 5 || Clock::now() < end);
  return best;
}

/// Packed groups whose every half and scale is an ordinary number.
void fill_groups(const WeightFormat& format, std::int64_t k, std::int64_t groups, std::byte* to) {
  const TypeInfo& info = type_info(format.type);
  std::vector<std::byte> row(static_cast<std::size_t>(k / info.block_elements * info.block_bytes));
  std::mt19937 random(7);
  for (std::byte& byte : row) byte = static_cast<std::byte>(random() & 0x3fU);
  std::vector<const std::byte*> rows(kGroupRows, row.data());
  const std::int64_t bytes = format.group_bytes(k);
  format.pack(rows.data(), k, to);
  for (std::int64_t g = 1; g < groups; ++g) std::memcpy(to + g * bytes, to, static_cast<std::size_t>(bytes));
}

struct Tiles {
  Tiles(const WeightFormat& format, std::int64_t k, int width, int count)
      : memory(tile_bytes(format.activation, k, width) * static_cast<std::size_t>(count)) {
    std::vector<float> x(static_cast<std::size_t>(k * width));
    std::mt19937 random(3);
    for (float& value : x) value = static_cast<float>(random() % 2001) / 1000.0F - 1.0F;
    std::vector<const float*> columns;
    for (int c = 0; c < width; ++c) columns.push_back(x.data() + c * k);
    for (int i = 0; i < count; ++i) {
      tiles.push_back(
          tile_over(format.activation, k, width,
                    memory.data + static_cast<std::size_t>(i) * tile_bytes(format.activation, k, width)));
      prepare(format.activation)(columns.data(), tiles.back());
    }
  }
  static PrepareTile::Fn* prepare(Activation kind) {
    switch (kind) {
      case Activation::kBf16:
        return best_kernel<PrepareBf16>();
      case Activation::kQ8x32:
        return best_kernel<PrepareQ8x32>();
      case Activation::kQ8x256:
        return best_kernel<PrepareQ8x256>();
      default:
        return best_kernel<PrepareF32>();
    }
  }
  Aligned memory;
  std::vector<ActivationTile> tiles;
};

void bench(const WeightFormat& format, Gemm::Fn* gemm, std::byte* memory, double peak_gops, double peak_gbs) {
  constexpr std::int64_t k = 2048;
  const std::int64_t bytes = format.group_bytes(k);
  const std::int64_t chunk = std::max<std::int64_t>(kChunkBytes / bytes / 4 * 4, 4),
                     all = kMemoryBytes / bytes / 4 * 4;
  fill_groups(format, k, all, memory);
  std::vector<float> y(static_cast<std::size_t>(all * kGroupRows * kMaxTileWidth));
  // Widened once for all tiles, or for a tile alone not at all, as the engine does.
  const std::vector<Kernel> own = usable_kernels(Gemm::name(format.type));
  Gemm::Fn* const alone = own.empty() ? nullptr : reinterpret_cast<Gemm::Fn*>(own.back().fn);
  const Aligned wide(static_cast<std::size_t>(WideRows::group_bytes(format.wide, k)));
  const auto run = [&](const ActivationTile& tile, std::int64_t groups, bool from_memory) {
    if (format.wide != Wide::kNone && !(alone != nullptr && groups == all)) {
      for (std::int64_t g = 0; g < groups; ++g) {
        if (from_memory) format.widen(memory + g * bytes, k, wide.data);
        gemm({&format, wide.data, 1, kGroupRows, &tile, tile.width, y.data() + g * kGroupRows,
              groups * kGroupRows, false, from_memory});
      }
      return;
    }
    (format.wide == Wide::kNone ? gemm
                                : alone)({&format, memory, groups, groups * kGroupRows, &tile, tile.width,
                                          y.data(), groups * kGroupRows, false, from_memory});
  };
  std::string in_cache, from_memory;
  for (const int width : kTileWidths) {
    const Tiles prompt(format, k, width, 16);
    const double operations = 2.0 * static_cast<double>(chunk * kGroupRows * k) * width * 16;
    const auto passes = [&] {
      for (const ActivationTile& tile : prompt.tiles) run(tile, chunk, &tile == prompt.tiles.data());
    };
    const double gops = rate(operations, passes) / 1e9;
    const double gbs = rate(static_cast<double>(all * bytes), [&] { run(prompt.tiles[0], all, true); }) / 1e9;
    in_cache += fmt::format(" {:5.0f} {:3.0f}%", gops, 100 * gops / peak_gops);
    from_memory += fmt::format(" {:5.1f} {:3.0f}%", gbs, 100 * gbs / peak_gbs);
  }
  fmt::print("{:<8} GOPS{}\n{:<8} GB/s{}\n", type_info(format.type).name, in_cache, "", from_memory);
}

}  // namespace

int main(int count, char** words) {
  const Aligned memory(kMemoryBytes + 4096);
  std::memset(memory.data, 1, kMemoryBytes);
  PeakInt8::Fn* const int8 = best_kernel<PeakInt8>();
  PeakRead::Fn* const read = best_kernel<PeakRead>();
  const double once = int8(100000);
  const double gops = rate(once, [&] { int8(100000); }) / 1e9;
  volatile std::uint64_t seen = 0;
  const double gbs = rate(kMemoryBytes, [&] { seen = read(memory.data, kMemoryBytes); }) / 1e9;
  fmt::print("one core: {:.0f} int8 GOPS, {:.1f} GB/s; shares are of these\ncolumns      ", gops, gbs);
  for (const int width : kTileWidths) fmt::print(" {:>10}", width);
  fmt::print("\n");
  for (const WeightFormat& format : all_weight_formats()) {
    std::string name = Gemm::name(format.type).substr(5);
    if (count > 1 && std::find_if(words + 1, words + count, [&](const char* word) { return name == word; }) ==
                         words + count)
      continue;
    const std::vector<Kernel> variants =
        usable_kernels(format.wide == Wide::kNone ? Gemm::name(format.type) : std::string(GemmWide::kName));
    if (!variants.empty())
      bench(format, reinterpret_cast<Gemm::Fn*>(variants.back().fn), memory.data, gops, gbs);
  }
  return 0;
}
