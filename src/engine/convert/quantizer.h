// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/tensor/type.h"

namespace deepwell {

/// Makes file blocks of a type out of floats: the reverse of WeightFormat::dequantize, with the smallest
/// squared error that its search finds. A file of quantizers/ each.
struct Quantizer {
  TypeId type;
  std::uint32_t file_type;  ///< "general.file_type" of a file that is mostly of this type
  /// n floats (whole blocks) of one row. NaN and infinity become what the format can say. Any thread.
  void (*quantize)(const float* row, std::int64_t n, std::byte* out);
};
const std::vector<Quantizer>& all_quantizers();
/// nullptr: this build cannot make that type.
const Quantizer* find_quantizer(TypeId type);
const Quantizer* find_quantizer(std::string_view name);  ///< "Q4_K", in any case

}  // namespace deepwell
