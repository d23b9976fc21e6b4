// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/quant/weight_format.h"

namespace deepwell {

/// Columns (tokens) a GEMM kernel takes at once: the widths it is written for.
inline constexpr int kTileWidths[] = {1, 2, 4, 6, 8, 12};
inline constexpr int kMaxTileWidth = 12;
/// The smallest width that holds `columns` (at most 12).
constexpr int tile_width(std::int64_t columns) {
  for (int width : kTileWidths)
    if (columns <= width) return width;
  return kMaxTileWidth;
}

/// Up to 12 columns of activations side by side, as the GEMM kernels read them; C = width. Columns past the
/// last token are zero.
///   kF32     floats (k, C)
///   kBf16    pairs (k/2, C) of bfloat16, k rounded up to even
///   kQ8x32   value = scale * step. steps (k/4, C) words of 4 int8, scales (k/32, C), each the float nearest
///            a half; scaled_sums (k/32, C) = scale * sum of steps; starts[i] (k/32, C) = -offset * sum of
///            steps for the step offsets 8, 16, 128 of 4-, 5- and 8-bit weights: what an accumulator starts
///            from instead of zero, so that an offset costs nothing
///   kQ8x256  steps as above; scales (k/256, C); sum_pairs (k/64, C): sums of two runs of 32 steps as int16,
///            the first in the low half; run_pairs (k/32, C): the same of runs of 16 steps, of four the first
///            with the third and the second with the fourth; starts[0] (k/16, C) = -32 * sum of 16 steps (for
///            6-bit weights), starts[1] (k/256, C) = -127 * sum of 256 (for steps of 3 bits times their
///            scale)
struct ActivationTile {
  Activation kind = Activation::kF32;
  int width = 1;
  std::int64_t k = 0;
  float* floats = nullptr;
  std::uint32_t* bf16 = nullptr;
  std::int32_t* steps = nullptr;
  float* scales = nullptr;
  float* scaled_sums = nullptr;
  std::int32_t* sum_pairs = nullptr;
  std::int32_t* run_pairs = nullptr;
  std::int32_t* starts[3] = {};
};

/// Bytes of memory (64-byte aligned) that a tile needs, and the tile laid over it.
std::size_t tile_bytes(Activation kind, std::int64_t k, int width);
ActivationTile tile_over(Activation kind, std::int64_t k, int width, std::byte* memory);

/// A run of activations below this in magnitude is taken for zeros: its scale would not survive as a half,
/// and the reciprocal could overflow.
inline constexpr float kQuietMagnitude = 0x1p-100F;

/// Fills a tile from columns[c][0..k); nullptr for a column of zeros.
/// Rounding: Q8x32 scale = half(max|x|/127), step = round(x * 127/max|x|); Q8x256 scale = max|x|/127; ties of
/// steps to even. A quiet run has scale 0. Accuracy |x - scale*step| <= scale (half a step, and the half's).
struct PrepareTile {
  using Fn = void(const float* const* columns, const ActivationTile& tile);
};
struct PrepareF32 : PrepareTile {
  static constexpr std::string_view kName = "prepare_f32";
};
struct PrepareBf16 : PrepareTile {
  static constexpr std::string_view kName = "prepare_bf16";
};
struct PrepareQ8x32 : PrepareTile {
  static constexpr std::string_view kName = "prepare_q8x32";
};
struct PrepareQ8x256 : PrepareTile {
  static constexpr std::string_view kName = "prepare_q8x256";
};

}  // namespace deepwell
