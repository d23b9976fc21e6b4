// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/kernels/activation_tile.h"
#include "engine/kernels/kernel.h"

namespace deepwell {

/// Y = W X for packed groups of 16 weight rows and one tile of up to 12 columns.
struct GemmArgs {
  const WeightFormat* format;  ///< of the groups
  const std::byte* groups;     ///< `group_count` packed groups, group_bytes(k) apart, 64-byte aligned
  std::int64_t group_count;
  std::int64_t rows;  ///< of the matrix in these groups: 16 * (group_count - 1) < rows <= 16 * group_count
  const ActivationTile* tile;  ///< of the format's activation kind; k is its k
  int columns;                 ///< tokens in the tile, at most its width
  float* y;                    ///< y[column * y_stride + row]
  std::int64_t y_stride;
  bool accumulate;          ///< y += instead of y =
  bool from_memory = true;  ///< the groups are in no cache yet: worth asking for ahead
};

/// One operator per weight type, named "gemm_" + its lower-case name ("gemm_q4_k").
///
/// Accuracy  against W (as dequantized) times the tile's dequantized values, exact:
///           |y - exact| <= (n + 8) * 2^-24 * (sum |s x| + sum |m x| + |y before, when accumulating|), where
///           s is the step part of a weight and m its minimum (they are added apart; for types without minima
///           s = w, m = 0) and n the terms added one after another: k/32 for blocks of 32, twice that with
///           minima; k/256 + 24 for blocks of 256; k/2 for floats. Int8 dots are exact in int32.
/// Batch     a column's result is the same bits whatever the tile's width, its place and its neighbours.
/// Threads   no state; callers split groups.
///
/// Types that are widened (GemmWide) have one that pays where there is one tile only, or none: the same bits.
struct Gemm {
  using Fn = void(const GemmArgs& args);
  static std::string name(TypeId type);
};

/// The same for the types that are widened: `groups` are in the form of format->wide (wide_rows.h).
struct GemmWide {
  static constexpr std::string_view kName = "gemm_wide";
  using Fn = void(const GemmArgs& args);
};

/// The definition, for every type: unpacks the weights to float and sums in double.
void gemm_reference(const GemmArgs& args);

}  // namespace deepwell
