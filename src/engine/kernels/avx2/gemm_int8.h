// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kernels/fetch_next_group.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/isa_region.h"
#include "engine/quant/kquant.h"
#include "engine/quant/legacy.h"
#include "engine/quant/q6k_layout.h"

// The int8 GEMM on AVX2: the packed layout of avx512/gemm_int8.h, half a group (8 rows) and up to 4 columns
// at a time. vpmaddubsw adds two products in int16; steps of 4, 5 and 6 bits leave room to add 8, 4 and 2
// such sums before they could overflow (15*127*2*8 = 30480, 31*127*2*4 = 31496, 63*127*2*2 = 32004), and only
// then is widened to int32.

DW_AVX2_BEGIN
namespace deepwell::avx2 {

inline __m256i load(const std::byte* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
inline __m256 load_halves(const std::byte* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline __m256i widen(__m256i sums) { return _mm256_madd_epi16(sums, _mm256_set1_epi16(1)); }

/// Writes 8 rows of N columns.
template <int N>
inline void store_columns(const GemmArgs& a, std::int64_t row, int column, const __m256* sums) {
  for (int c = 0; c < N && column + c < a.columns; ++c) {
    alignas(32) float lanes[8];
    _mm256_store_ps(lanes, sums[c]);
    float* y = a.y + (column + c) * a.y_stride + row;
    for (int r = 0; r < 8 && row + r < a.rows; ++r) y[r] = a.accumulate ? y[r] + lanes[r] : lanes[r];
  }
}

/// sums16[c] += w . word of column c, in int16.
template <int N>
[[gnu::always_inline]] inline void multiply(__m256i (&sums16)[N], __m256i w, const std::int32_t* words) {
#pragma GCC unroll 4
  for (int c = 0; c < N; ++c)
    sums16[c] = _mm256_add_epi16(sums16[c], _mm256_maddubs_epi16(w, _mm256_set1_epi32(words[c])));
}

/// acc[c] += widened sums16[c], which start again from zero.
template <int N>
[[gnu::always_inline]] inline void flush(__m256i (&acc)[N], __m256i (&sums16)[N]) {
#pragma GCC unroll 4
  for (int c = 0; c < N; ++c) {
    acc[c] = _mm256_add_epi32(acc[c], widen(sums16[c]));
    sums16[c] = _mm256_setzero_si256();
  }
}

template <int N>
[[gnu::always_inline]] inline void clear(__m256i (&registers)[N]) {
#pragma GCC unroll 4
  for (int c = 0; c < N; ++c) registers[c] = _mm256_setzero_si256();
}

template <class L, int N>
void legacy_rows(const GemmArgs& a, std::int64_t g, int half, int column) {
  const ActivationTile& x = *a.tile;
  const std::int64_t k = x.k;
  const int width = x.width;
  const std::byte* group = a.groups + g * L::group_bytes(k);
  const std::byte* steps = group + 32 * half;
  const std::byte* high = group + L::high_offset(k) + 32 * half;
  const std::byte* scales = group + L::scale_offset(k) + 16 * half;
  const std::byte* minima = group + L::minimum_offset(k) + 16 * half;
  const std::int32_t* starts = x.starts[L::kBits == 4 ? 0 : 1];
  const __m256i low_mask = _mm256_set1_epi8(15);
  const __m256i bit_mask = _mm256_set1_epi8(16);
  __m256 sum[N];
  for (int c = 0; c < N; ++c) sum[c] = _mm256_setzero_ps();
  const bool fetch = a.from_memory && half == 0 && column == 0;
  for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
    if (fetch) fetch_next_group(group, L::group_bytes(k), b, k / L::kBlock);
    const std::int32_t* words = x.steps + b * 8 * width + column;
    __m256i acc[N];
    if constexpr (L::kBits == 8) {
      clear(acc);
      const __m256i sign = _mm256_set1_epi8(-128);
#pragma GCC unroll 8
      for (int w = 0; w < 8; ++w) {  // |w| times x with w's sign: products fit where 255*127*2 would not
        const __m256i step = _mm256_xor_si256(load(steps + b * L::kStepBytes + 64 * w), sign);
        const __m256i magnitude = _mm256_abs_epi8(step);
#pragma GCC unroll 4
        for (int c = 0; c < N; ++c) {
          const __m256i signed_x = _mm256_sign_epi8(_mm256_set1_epi32(words[w * width + c]), step);
          acc[c] = _mm256_add_epi32(acc[c], widen(_mm256_maddubs_epi16(magnitude, signed_x)));
        }
      }
    } else {
#pragma GCC unroll 4
      for (int c = 0; c < N; ++c)
        acc[c] = L::kMinimum ? _mm256_setzero_si256() : _mm256_set1_epi32(starts[b * width + column + c]);
      __m256i sums16[N];
      clear(sums16);
      __m256i bits = _mm256_setzero_si256();
      if constexpr (L::kBits == 5) bits = load(high + b * 64);
#pragma GCC unroll 4
      for (int w = 0; w < 4; ++w) {
        const __m256i pair = load(steps + b * L::kStepBytes + 64 * w);
        __m256i low = _mm256_and_si256(pair, low_mask);
        __m256i upper = _mm256_and_si256(_mm256_srli_epi16(pair, 4), low_mask);
        if constexpr (L::kBits == 5) {
          low = _mm256_or_si256(low, _mm256_and_si256(_mm256_slli_epi16(bits, 4 - w), bit_mask));
          upper = _mm256_or_si256(upper, _mm256_and_si256(_mm256_srli_epi16(bits, w), bit_mask));
        }
        multiply<N>(sums16, low, words + w * width);
        multiply<N>(sums16, upper, words + (w + 4) * width);
        if (L::kBits == 5 && w % 2 == 1) flush(acc, sums16);
      }
      if constexpr (L::kBits == 4) flush(acc, sums16);
    }
    const __m256 scale = load_halves(scales + b * 32);
#pragma GCC unroll 4
    for (int c = 0; c < N; ++c) {
      const __m256 both = _mm256_mul_ps(scale, _mm256_set1_ps(x.scales[b * width + column + c]));
      sum[c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[c]), both, sum[c]);
    }
    if constexpr (L::kMinimum) {
      const __m256 minimum = load_halves(minima + b * 32);
#pragma GCC unroll 4
      for (int c = 0; c < N; ++c)
        sum[c] = _mm256_fmadd_ps(minimum, _mm256_set1_ps(x.scaled_sums[b * width + column + c]), sum[c]);
    }
  }
  store_columns<N>(a, g * kGroupRows + 8 * half, column, sum);
}

/// A packed 96-byte table of 6-bit values as (8 sub-blocks, 16 rows) bytes.
inline void unpack_six_bits(const std::byte* table, std::byte* out) {
  for (int s = 0; s < 8; ++s) {
    const __m128i nibbles = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table + s % 4 * 16));
    const __m128i pairs = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table + 64 + s / 4 * 16));
    const __m128i low = _mm_and_si128(s < 4 ? nibbles : _mm_srli_epi16(nibbles, 4), _mm_set1_epi8(15));
    const __m128i high = _mm_and_si128(
        _mm_slli_epi16(_mm_srl_epi16(pairs, _mm_cvtsi32_si128(2 * (s % 4))), 4), _mm_set1_epi8(0x30));
    _mm_store_si128(reinterpret_cast<__m128i*>(out + 16 * s), _mm_or_si128(low, high));
  }
}

inline __m256i load_bytes_as_words(const std::byte* from) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
}

template <class L, int N>
void kquant_rows(const GemmArgs& a, std::int64_t g, int half, int column) {
  const ActivationTile& x = *a.tile;
  const std::int64_t k = x.k;
  const int width = x.width;
  const std::byte* group = a.groups + g * L::group_bytes(k);
  const __m256i low_mask = _mm256_set1_epi8(15);
  const __m256i bit_mask = _mm256_set1_epi8(16);
  __m256 total[N];
  for (int c = 0; c < N; ++c) total[c] = _mm256_setzero_ps();
  const bool fetch = a.from_memory && half == 0 && column == 0;
  for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
    if (fetch) fetch_next_group(group, L::group_bytes(k), b, k / L::kBlock);
    alignas(32) std::byte tables[2][128];
    const std::byte* packed = group + L::scale_offset(k) + b * 192;
    unpack_six_bits(packed, tables[0]);
    unpack_six_bits(packed + 96, tables[1]);
    const __m256 d = load_halves(group + L::d_offset(k) + b * 32 + 16 * half);
    const std::byte* steps = group + b * L::kStepBytes + 32 * half;
    const std::byte* high = group + L::high_offset(k) + b * L::kHighBytes + 32 * half;
    __m256 sum[N];
    for (int c = 0; c < N; ++c) sum[c] = _mm256_setzero_ps();
    for (int s = 0; s < 8; ++s) {
      const std::int32_t* words = x.steps + (b * 64 + s * 8) * width + column;
      const __m128i step_shift = _mm_cvtsi32_si128(s % 2 * 4);
      const __m128i bit_left = _mm_cvtsi32_si128(s < 4 ? 4 - s : 0),
                    bit_right = _mm_cvtsi32_si128(s < 4 ? 0 : s - 4);
      __m256i acc[N], sums16[N];
      clear(acc);
      clear(sums16);
#pragma GCC unroll 8
      for (int w = 0; w < 8; ++w) {
        const __m256i pair = load(steps + s / 2 * 512 + 64 * w);
        __m256i step = _mm256_and_si256(_mm256_srl_epi16(pair, step_shift), low_mask);
        if constexpr (L::kBits == 5) {
          const __m256i moved = _mm256_srl_epi16(_mm256_sll_epi16(load(high + 64 * w), bit_left), bit_right);
          step = _mm256_or_si256(step, _mm256_and_si256(moved, bit_mask));
        }
        multiply<N>(sums16, step, words + w * width);
        if (L::kBits == 5 && w == 3) flush(acc, sums16);
      }
      flush(acc, sums16);
      const __m256 scale =
          _mm256_mul_ps(d, _mm256_cvtepi32_ps(load_bytes_as_words(tables[0] + 16 * s + 8 * half)));
#pragma GCC unroll 4
      for (int c = 0; c < N; ++c) sum[c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[c]), scale, sum[c]);
    }
    const __m256 dmin = load_halves(group + L::dmin_offset(k) + b * 32 + 16 * half);
    __m256i acc[N];
    clear(acc);
    for (int j = 0; j < 4; ++j) {
      const std::byte* table = tables[1] + 32 * j + 8 * half;
      const __m256i minima =
          _mm256_or_si256(load_bytes_as_words(table), _mm256_slli_epi32(load_bytes_as_words(table + 16), 16));
#pragma GCC unroll 4
      for (int c = 0; c < N; ++c) {
        const __m256i pair = _mm256_set1_epi32(x.sum_pairs[(b * 4 + j) * width + column + c]);
        acc[c] = _mm256_add_epi32(acc[c], _mm256_madd_epi16(minima, pair));
      }
    }
#pragma GCC unroll 4
    for (int c = 0; c < N; ++c) {
      const __m256 block = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(acc[c]), dmin, sum[c]);
      total[c] = _mm256_fmadd_ps(block, _mm256_set1_ps(x.scales[b * width + column + c]), total[c]);
    }
  }
  store_columns<N>(a, g * kGroupRows + 8 * half, column, total);
}

template <class L, int N>
void q6k_rows(const GemmArgs& a, std::int64_t g, int half_group, int column) {
  const ActivationTile& x = *a.tile;
  const std::int64_t k = x.k;
  const int width = x.width;
  const std::byte* group = a.groups + g * L::group_bytes(k);
  const __m256i low_mask = _mm256_set1_epi8(15);
  const __m256i high_mask = _mm256_set1_epi8(0x30);
  __m256 total[N];
  for (int c = 0; c < N; ++c) total[c] = _mm256_setzero_ps();
  const bool fetch = a.from_memory && half_group == 0 && column == 0;
  for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
    if (fetch) fetch_next_group(group, L::group_bytes(k), b, k / L::kBlock);
    const std::byte* scales = group + L::scale_offset(k) + b * 256 + 8 * half_group;
    const __m256 d = load_halves(group + L::d_offset(k) + b * 32 + 16 * half_group);
    __m256 sum[N];
    for (int c = 0; c < N; ++c) sum[c] = _mm256_setzero_ps();
    for (int s = 0; s < 16; ++s) {
      const int half = s / 8, quarter = s % 8 / 2, part = s % 2;
      const std::byte* steps =
          group + b * L::kStepBytes + half * 1024 + 64 * (quarter % 2 * 8) + 32 * half_group;
      const std::byte* high = group + L::high_offset(k) + b * L::kHighBytes + half * 512 + 32 * half_group;
      const std::int32_t* words = x.steps + (b * 64 + s * 4) * width + column;
      const __m128i step_shift = _mm_cvtsi32_si128(quarter / 2 * 4);
      const __m128i bit_left = _mm_cvtsi32_si128(quarter < 2 ? 4 - 2 * quarter : 0);
      const __m128i bit_right = _mm_cvtsi32_si128(quarter == 3 ? 2 : 0);
      __m256i acc[N], sums16[N];
      clear(sums16);
#pragma GCC unroll 4
      for (int c = 0; c < N; ++c) acc[c] = _mm256_set1_epi32(x.starts[0][(b * 16 + s) * width + column + c]);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const int w = part * 4 + i;
        const __m256i step = _mm256_and_si256(_mm256_srl_epi16(load(steps + 64 * w), step_shift), low_mask);
        const __m256i moved = _mm256_srl_epi16(_mm256_sll_epi16(load(high + 64 * w), bit_left), bit_right);
        multiply<N>(sums16, _mm256_or_si256(step, _mm256_and_si256(moved, high_mask)), words + i * width);
        if (i % 2 == 1) flush(acc, sums16);
      }
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(scales + s * 16));
      const __m256 scale = _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)));
#pragma GCC unroll 4
      for (int c = 0; c < N; ++c) sum[c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[c]), scale, sum[c]);
    }
#pragma GCC unroll 4
    for (int c = 0; c < N; ++c)
      total[c] = _mm256_fmadd_ps(sum[c], _mm256_set1_ps(x.scales[b * width + column + c]), total[c]);
  }
  store_columns<N>(a, g * kGroupRows + 8 * half_group, column, total);
}

/// ROWS(N)(args, g, half, column) over all groups and columns of the tile.
#define DW_GEMM_COLUMNS(ROWS)                                        \
  for (std::int64_t g = 0; g < a.group_count; ++g) {                 \
    for (int half = 0; half < 2; ++half) {                           \
      int c = 0;                                                     \
      for (; c + 4 <= a.tile->width; c += 4) ROWS(4)(a, g, half, c); \
      for (; c + 2 <= a.tile->width; c += 2) ROWS(2)(a, g, half, c); \
      for (; c < a.tile->width; ++c) ROWS(1)(a, g, half, c);         \
    }                                                                \
  }

}  // namespace deepwell::avx2
DW_ISA_END
