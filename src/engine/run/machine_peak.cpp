// SPDX-License-Identifier: Apache-2.0
#include "engine/run/machine_peak.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <vector>

#include "engine/kernels/peak.h"

namespace deepwell {
namespace {
double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
struct Effort {
  int tries;  // the best one: what the machine can do, not what it did while disturbed
  std::int64_t steps;
  std::size_t piece, pieces;
};

MachinePeak measure(ThreadPool& pool, const Effort& effort) {
  MachinePeak peak;
  PeakInt8::Fn* const multiply = best_kernel<PeakInt8>();
  const int threads = pool.threads();
  std::vector<double> operations(static_cast<std::size_t>(threads));
  for (int i = 0; i < effort.tries; ++i) {
    const double start = now();
    pool.run(threads, [&](std::int64_t task, int) {
      operations[static_cast<std::size_t>(task)] = multiply(effort.steps);
    });
    double total = 0;
    for (double count : operations) total += count;
    peak.int8_gops = std::max(peak.int8_gops, total / (now() - start) / 1e9);
  }

  const std::size_t bytes = effort.piece * effort.pieces;
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  const std::unique_ptr<std::byte, Free> memory(
      static_cast<std::byte*>(std::aligned_alloc(64, bytes + 8192)));
  if (memory == nullptr) return peak;
  std::memset(memory.get(), 1, bytes + 8192);
  PeakRead::Fn* const read = best_kernel<PeakRead>();
  std::atomic<std::uint64_t> sink{0};
  for (int i = 0; i < effort.tries; ++i) {
    const double start = now();
    pool.run(static_cast<std::int64_t>(effort.pieces), [&](std::int64_t piece, int) {
      sink ^= read(memory.get() + static_cast<std::size_t>(piece) * effort.piece, effort.piece);
    });
    peak.read_gb_per_second =
        std::max(peak.read_gb_per_second, static_cast<double>(bytes) / (now() - start) / 1e9);
  }
  return peak;
}

}  // namespace

MachinePeak measure_peak(ThreadPool& pool) {
  return measure(pool, {3, 10'000'000, std::size_t{4} << 20, 128});  // 512 MB: far beyond any cache
}

MachinePeak glance_at_peak(ThreadPool& pool, std::int64_t bytes) {
  constexpr std::size_t kPiece = std::size_t{256} << 10;
  const auto pieces = static_cast<std::size_t>(std::max<std::int64_t>(0, bytes)) / kPiece;
  return measure(pool, {2, 50'000, kPiece, std::clamp<std::size_t>(pieces, 1, 256)});
}

}  // namespace deepwell
