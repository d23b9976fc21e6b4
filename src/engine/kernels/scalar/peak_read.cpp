// SPDX-License-Identifier: Apache-2.0
// Plain 64-bit loads with prefetch reach the memory bus on every x86-64 there is: no variants needed.
#include <cstring>

#include "engine/kernels/peak.h"

namespace deepwell {
namespace {
std::uint64_t run(const std::byte* memory, std::size_t bytes) {
  std::uint64_t sums[4] = {};
  for (std::size_t at = 0; at < bytes; at += 256) {
    for (std::size_t line = 0; line < 256; line += 64) __builtin_prefetch(memory + at + 4096 + line);
    for (std::size_t word = 0; word < 32; word += 4) {
      std::uint64_t words[4];
      std::memcpy(words, memory + at + word * 8, 32);
      for (int i = 0; i < 4; ++i) sums[i] ^= words[i];
    }
  }
  return sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
}
}  // namespace
Kernel kernel_scalar_peak_read() { return kernel_of<PeakRead>(Isa::kScalar, run); }
}  // namespace deepwell
