// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace deepwell {

/// Limits on what a header may ask for, far above any real file.
struct SafetensorsLimits {
  static constexpr std::uint64_t kHeaderBytes = 100'000'000;  ///< as the format's own library has it
  static constexpr std::size_t kTensors = 1 << 18;
  static constexpr std::size_t kNameBytes = 1024;
  static constexpr std::size_t kDimensions = 8;
};

/// An element type as the header names it.
enum class Dtype { kF64, kF32, kF16, kBF16, kF8E4M3, kF8E5M2, kF8E8M0, kI64, kI32, kI16, kI8, kU8, kOther };

struct SafetensorsEntry {
  std::string name;
  Dtype dtype = Dtype::kOther;
  std::vector<std::int64_t> shape;   ///< slowest first; no product overflows
  std::span<const std::byte> bytes;  ///< in the given file, exactly what shape and dtype ask for

  std::int64_t elements() const;
};

/// Reads and checks one file's header; tensor data is located, not touched. `path` is for messages.
/// Every name is there once, every range lies in the file, has the size of its tensor and meets no other.
/// Errors: kInvalid (not a safetensors file), kCorrupt (all else).
Result<std::vector<SafetensorsEntry>> parse_safetensors(std::span<const std::byte> file,
                                                        const std::string& path);

std::string_view dtype_name(Dtype dtype);

}  // namespace deepwell
