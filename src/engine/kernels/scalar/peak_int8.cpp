// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/peak.h"

namespace deepwell {
namespace {
double run(std::int64_t steps) {
  std::int32_t sums[8] = {};
  volatile std::int8_t x = 3;
  const std::int32_t factor = x;
  for (std::int64_t i = 0; i < steps; ++i)
    for (std::int32_t& sum : sums)
      sum = static_cast<std::int32_t>(static_cast<std::uint32_t>(sum) * 31U) + factor;
  volatile std::int32_t sink = sums[0] ^ sums[1] ^ sums[2] ^ sums[3] ^ sums[4] ^ sums[5] ^ sums[6] ^ sums[7];
  (void)sink;
  return static_cast<double>(steps) * 8 * 2;
}
}  // namespace
Kernel kernel_scalar_peak_int8() { return kernel_of<PeakInt8>(Isa::kScalar, run); }
}  // namespace deepwell
