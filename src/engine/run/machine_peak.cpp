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
}  // namespace

MachinePeak measure_peak(ThreadPool& pool) {
  constexpr int kTries = 3;  // the best one: what the machine can do, not what it did while disturbed
  MachinePeak peak;
  PeakInt8::Fn* const multiply = best_kernel<PeakInt8>();
  const int threads = pool.threads();
  std::vector<double> operations(static_cast<std::size_t>(threads));
  constexpr std::int64_t kSteps = 10'000'000;
  for (int i = 0; i < kTries; ++i) {
    const double start = now();
    pool.run(threads,
             [&](std::int64_t task, int) { operations[static_cast<std::size_t>(task)] = multiply(kSteps); });
    double total = 0;
    for (double count : operations) total += count;
    peak.int8_gops = std::max(peak.int8_gops, total / (now() - start) / 1e9);
  }

  constexpr std::size_t kPiece = std::size_t{4} << 20, kPieces = 128;  // 512 MB: far beyond any cache
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  const std::unique_ptr<std::byte, Free> memory(
      static_cast<std::byte*>(std::aligned_alloc(64, kPiece * kPieces + 8192)));
  if (memory == nullptr) return peak;
  std::memset(memory.get(), 1, kPiece * kPieces + 8192);
  PeakRead::Fn* const read = best_kernel<PeakRead>();
  std::atomic<std::uint64_t> sink{0};
  for (int i = 0; i < kTries; ++i) {
    const double start = now();
    pool.run(kPieces, [&](std::int64_t piece, int) {
      sink ^= read(memory.get() + static_cast<std::size_t>(piece) * kPiece, kPiece);
    });
    peak.read_gb_per_second =
        std::max(peak.read_gb_per_second, static_cast<double>(kPiece * kPieces) / (now() - start) / 1e9);
  }
  return peak;
}

}  // namespace deepwell
