// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/tensor/type.h"

namespace deepwell {

/// Rows are packed in groups of this many: one 512-bit register of 32-bit lanes, two of 256 bits.
inline constexpr int kGroupRows = 16;

/// What a fast kernel multiplies the weights by.
enum class Activation {
  kF32,     ///< float
  kBf16,    ///< bfloat16 pairs
  kQ8x32,   ///< int8 steps, a scale per 32
  kQ8x256,  ///< int8 steps, a scale per 256
};

/// How a group is widened for int8 kernels that cannot multiply it as it lies (wide_rows.h): runs of weights
/// under one scale.
enum class Wide { kNone, kRuns16, kRuns32 };

/// How a block type of a model file is read and how it is laid out for computing: a file of this folder each.
///
/// A packed group holds 16 rows in planes, each plane running over all of k (shapes are in the format's
/// file), in exactly the bytes the file uses, so that a packed model is no larger than its file. The 4-byte
/// lane r of each 64-byte piece belongs to row r: four consecutive k of one row, or, in 4-bit planes, four of
/// one k-step in the low nibbles and four of another in the high ones. No shuffle is needed to unpack. Types
/// that are widened keep their rows as they are, one after another (raw_rows.h).
struct WeightFormat {
  TypeId type;
  Activation activation;  ///< of the int8 or bf16 kernels; kF32 where the weights are floats

  /// n weights of one row of the file (n a multiple of the block) as floats. The definition of the type.
  void (*dequantize)(const std::byte* row, std::int64_t n, float* out);

  /// Bytes of a group of 16 rows of k weights (a multiple of 64).
  std::int64_t (*group_bytes)(std::int64_t k);
  /// rows[r] nullptr: a row of zeros (past the end of the matrix).
  void (*pack)(const std::byte* const* rows, std::int64_t k, std::byte* group);
  /// The group as floats, (k, 16), equal to dequantize bit for bit.
  void (*unpack)(const std::byte* group, std::int64_t k, float* out);

  Wide wide = Wide::kNone;
  /// The group in that form, WideRows::group_bytes(wide, k) at 64-byte aligned `out`: the same weights,
  /// exactly.
  void (*widen)(const std::byte* group, std::int64_t k, std::byte* out) = nullptr;
};

const std::vector<WeightFormat>& all_weight_formats();
/// nullptr: known to the file format perhaps, but this build cannot compute with it.
const WeightFormat* find_weight_format(TypeId type);

}  // namespace deepwell
