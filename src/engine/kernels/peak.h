// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/kernel.h"

namespace deepwell {

/// Does int8 multiply-adds as fast as the ISA can for `steps` rounds; returns how many operations (two per
/// multiply-add) that were.
struct PeakInt8 {
  static constexpr std::string_view kName = "peak_int8";
  using Fn = double(std::int64_t steps);
};

/// Reads `bytes` (a multiple of 256) of 64-byte aligned memory once; returns something that depends on it.
struct PeakRead {
  static constexpr std::string_view kName = "peak_read";
  using Fn = std::uint64_t(const std::byte* memory, std::size_t bytes);
};

}  // namespace deepwell
