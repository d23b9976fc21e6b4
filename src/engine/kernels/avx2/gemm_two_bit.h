// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kernels/avx2/gemm_int8.h"
#include "engine/quant/two_bit_planes.h"

// Q2_K and Q3_K on AVX2: sums of a sub-block's steps fit in int16 (7*127*2*4 = 7112), so that vpmaddwd widens
// them and multiplies by the scale at once. What a step of 3 bits is too large, 4, comes off like a minimum.

DW_AVX2_BEGIN
namespace deepwell::avx2 {

/// Bits moved right, or left where `by` is negative; what comes over from other bytes is the caller's to
/// mask.
[[gnu::always_inline]] inline __m256i moved_right(__m256i bits, int by) {
  return by < 0 ? _mm256_slli_epi16(bits, -by) : by == 0 ? bits : _mm256_srli_epi16(bits, by);
}

/// Scales of sub-blocks 4w..4w+3 of 8 rows, a byte each.
template <class L>
[[gnu::always_inline]] inline __m256i four_scales(const std::byte* table, int w) {
  const __m256i low_mask = _mm256_set1_epi8(15);
  if constexpr (L::kMinima) {
    return _mm256_and_si256(load(table + 64 * w), low_mask);
  } else {
    const __m256i nibbles = load(table + w % 2 * 64), upper = load(table + 128);
    const __m256i low = _mm256_and_si256(moved_right(nibbles, w / 2 * 4), low_mask);
    return _mm256_or_si256(low, _mm256_and_si256(moved_right(upper, 2 * w - 4), _mm256_set1_epi8(0x30)));
  }
}

/// Scales with their signs, or minima, of sub-blocks 4w..4w+3, in the order of a tile's run_pairs.
template <class L, int kOdd>
[[gnu::always_inline]] inline __m256i offsets(const std::byte* table, int w) {
  if constexpr (L::kMinima) {
    const __m256i bytes = load(table + 64 * w);
    return _mm256_and_si256(_mm256_srli_epi16(bytes, kOdd ? 12 : 4), _mm256_set1_epi16(15));
  } else {
    const __m256i scales = four_scales<L>(table, w);
    const __m256i two =
        kOdd ? _mm256_srli_epi16(scales, 8) : _mm256_and_si256(scales, _mm256_set1_epi16(255));
    return _mm256_sub_epi16(two, _mm256_set1_epi16(32));
  }
}

template <class L, int N>
void two_bit_rows(const GemmArgs& a, std::int64_t g, int half_group, int column) {
  const ActivationTile& x = *a.tile;
  const std::int64_t k = x.k;
  const int width = x.width;
  const std::byte* group = a.groups + g * L::group_bytes(k);
  const __m256i step_mask = _mm256_set1_epi8(3), third_mask = _mm256_set1_epi8(4);
  __m256 total[N];
  for (int c = 0; c < N; ++c) total[c] = _mm256_setzero_ps();
  const bool fetch = a.from_memory && half_group == 0 && column == 0;
  for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
    if (fetch) fetch_next_group(group, L::group_bytes(k), b, k / L::kBlock);
    const std::byte* table = group + L::scale_offset(k) + b * L::kScaleBytes + 32 * half_group;
    __m256i acc[N];
    clear(acc);
#pragma GCC unroll 16
    for (int s = 0; s < 16; ++s) {
      const int half = s / 8, quarter = s % 8 / 2, part = s % 2;
      const std::byte* steps = group + b * L::kStepBytes + half * 512 + part * 256 + 32 * half_group;
      const std::byte* third = group + L::third_offset(k) + b * L::kThirdBytes + part * 256 + 32 * half_group;
      const std::int32_t* words = x.steps + (b * 64 + s * 4) * width + column;
      __m256i sums16[N];
      clear(sums16);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        __m256i step = _mm256_and_si256(moved_right(load(steps + 64 * i), 2 * quarter), step_mask);
        if constexpr (L::kThird) {
          const __m256i bit = moved_right(load(third + 64 * i), s / 2 - 2);
          step = _mm256_or_si256(step, _mm256_and_si256(bit, third_mask));
        }
        multiply<N>(sums16, step, words + i * width);
      }
      // The scale in both halves of a row's lane.
      const auto spread = static_cast<int>(0x80008000U | static_cast<unsigned>(s % 4) * 0x00010001U);
      const __m256i rows = _mm256_broadcastsi128_si256(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
      __m256i scale =
          _mm256_shuffle_epi8(four_scales<L>(table, s / 4), _mm256_or_si256(rows, _mm256_set1_epi32(spread)));
      if constexpr (L::kThird) scale = _mm256_sub_epi16(scale, _mm256_set1_epi16(32));
#pragma GCC unroll 4
      for (int c = 0; c < N; ++c) acc[c] = _mm256_add_epi32(acc[c], _mm256_madd_epi16(sums16[c], scale));
    }
    __m256i offset[N];
    clear(offset);
#pragma GCC unroll 4
    for (int w = 0; w < 4; ++w) {
      const __m256i even = offsets<L, 0>(table, w), odd = offsets<L, 1>(table, w);
      const std::int32_t* pairs = x.run_pairs + (b * 8 + 2 * w) * width + column;
#pragma GCC unroll 4
      for (int c = 0; c < N; ++c) {
        const __m256i first = _mm256_madd_epi16(even, _mm256_set1_epi32(pairs[c]));
        const __m256i second = _mm256_madd_epi16(odd, _mm256_set1_epi32(pairs[width + c]));
        offset[c] = _mm256_add_epi32(offset[c], _mm256_add_epi32(first, second));
      }
    }
    const __m256 d = load_halves(group + L::d_offset(k) + b * 32 + 16 * half_group);
#pragma GCC unroll 4
    for (int c = 0; c < N; ++c) {
      if constexpr (L::kThird) acc[c] = _mm256_sub_epi32(acc[c], _mm256_slli_epi32(offset[c], 2));
      __m256 sum = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[c]), d);
      if constexpr (L::kMinima) {
        const __m256 dmin = load_halves(group + L::dmin_offset(k) + b * 32 + 16 * half_group);
        sum = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(offset[c]), dmin, sum);
      }
      total[c] = _mm256_fmadd_ps(sum, _mm256_set1_ps(x.scales[b * width + column + c]), total[c]);
    }
  }
  store_columns<N>(a, g * kGroupRows + 8 * half_group, column, total);
}

}  // namespace deepwell::avx2
DW_ISA_END
