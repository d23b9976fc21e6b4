// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>

#include "engine/kernels/gemm.h"
#include "engine/kernels/isa_region.h"
#include "engine/quant/kquant.h"
#include "engine/quant/legacy.h"
#include "engine/quant/q6k_layout.h"

// The int8 GEMM on AVX-512 VNNI. One register holds 16 rows by 4 consecutive k of unsigned weight steps; an
// activation word (4 k of one column) is broadcast from memory as the other operand, so each vpdpbusd needs
// no shuffle and no load of its own. 12 columns fill the registers: 12 integer and 12 float accumulators, the
// weights, and their scales. Per 32 k that is 96 vpdpbusd against 24-36 other vector operations.

DW_AVX512_BEGIN
namespace deepwell::avx512 {

inline __m512i load(const std::byte* from) { return _mm512_loadu_si512(from); }
inline __m512i broadcast(const std::int32_t* from) { return _mm512_set1_epi32(*from); }
inline __m512 broadcast(const float* from) { return _mm512_set1_ps(*from); }
inline __m512 load_halves(const std::byte* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

/// Writes the sums of one group of 16 rows.
template <int C>
void store_columns(const GemmArgs& a, std::int64_t group, const __m512* sums) {
  const std::int64_t left = a.rows - group * kGroupRows;
  const __mmask16 mask = left >= kGroupRows ? __mmask16(0xffff) : static_cast<__mmask16>((1U << left) - 1U);
  for (int c = 0; c < C; ++c) {
    if (c >= a.columns) break;
    float* y = a.y + c * a.y_stride + group * kGroupRows;
    __m512 sum = sums[c];
    if (a.accumulate) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, y));
    _mm512_mask_storeu_ps(y, mask, sum);
  }
}

/// acc[c] += w . activation word `word` of column c.
template <int C>
[[gnu::always_inline]] inline void multiply(__m512i (&acc)[C], __m512i w, const std::int32_t* words) {
#pragma GCC unroll 12
  for (int c = 0; c < C; ++c) acc[c] = _mm512_dpbusd_epi32(acc[c], w, broadcast(words + c));
}

template <class L, int C>
void legacy_group(const GemmArgs& a, std::int64_t g) {
  const ActivationTile& x = *a.tile;
  const std::int64_t k = x.k;
  const std::byte* group = a.groups + g * L::group_bytes(k);
  const std::byte* steps = group;
  const std::byte* high = group + L::high_offset(k);
  const std::byte* scales = group + L::scale_offset(k);
  const std::byte* minima = group + L::minimum_offset(k);
  const std::int32_t* starts = x.starts[L::kBits == 4 ? 0 : L::kBits == 5 ? 1 : 2];
  const __m512i low_mask = _mm512_set1_epi8(15);
  const __m512i bit_mask = _mm512_set1_epi8(16);
  __m512 sum[C];
  for (int c = 0; c < C; ++c) sum[c] = _mm512_setzero_ps();
  for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
    const std::int32_t* words = x.steps + b * 8 * C;
    __m512i acc[C];
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c) acc[c] = L::kMinimum ? _mm512_setzero_si512() : broadcast(starts + b * C + c);
    if constexpr (L::kBits == 8) {
#pragma GCC unroll 8
      for (int w = 0; w < 8; ++w) multiply<C>(acc, load(steps + b * L::kStepBytes + 64 * w), words + w * C);
    } else {
      __m512i bits = _mm512_setzero_si512();
      if constexpr (L::kBits == 5) bits = load(high + b * 64);
#pragma GCC unroll 4
      for (int w = 0; w < 4; ++w) {
        const __m512i pair = load(steps + b * L::kStepBytes + 64 * w);
        __m512i low = _mm512_and_si512(pair, low_mask);
        __m512i upper = _mm512_and_si512(_mm512_srli_epi16(pair, 4), low_mask);
        if constexpr (L::kBits == 5) {  // bit w belongs to the low nibbles, bit w+4 to the high ones
          const __m512i low_bit = _mm512_slli_epi16(bits, static_cast<unsigned>(4 - w));
          const __m512i upper_bit = _mm512_srli_epi16(bits, static_cast<unsigned>(w));
          low = _mm512_ternarylogic_epi32(low, low_bit, bit_mask, 0xf8);  // low | (bit & mask)
          upper = _mm512_ternarylogic_epi32(upper, upper_bit, bit_mask, 0xf8);
        }
        multiply<C>(acc, low, words + w * C);
        multiply<C>(acc, upper, words + (w + 4) * C);
      }
    }
    const __m512 scale = load_halves(scales + b * 32);
    const float* x_scales = x.scales + b * C;
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c)
      sum[c] =
          _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[c]), _mm512_mul_ps(scale, broadcast(x_scales + c)), sum[c]);
    if constexpr (L::kMinimum) {
      const __m512 minimum = load_halves(minima + b * 32);
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c)
        sum[c] = _mm512_fmadd_ps(minimum, broadcast(x.scaled_sums + b * C + c), sum[c]);
    }
  }
  store_columns<C>(a, g, sum);
}

/// 16 sub-block values of 2 bits at a time: lane i of the result holds sub-block i's bits at positions 4-5.
inline __m512i upper_scale_bits(const std::byte* from) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  const __m512i rotation = _mm512_set_epi64(62, 62, 0, 0, 2, 2, 4, 4);
  return _mm512_and_si512(_mm512_rolv_epi64(_mm512_broadcast_i32x4(bits), rotation), _mm512_set1_epi8(0x30));
}

/// A packed 96-byte table of 6-bit values as (8 sub-blocks, 16 rows) bytes.
inline void unpack_six_bits(const std::byte* table, std::byte* out) {
  const __m512i low_mask = _mm512_set1_epi8(15);
  const __m512i low = load(table);
  const __m512i first = _mm512_or_si512(_mm512_and_si512(low, low_mask), upper_scale_bits(table + 64));
  const __m512i second =
      _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(low, 4), low_mask), upper_scale_bits(table + 80));
  _mm512_store_si512(out, first);
  _mm512_store_si512(out + 64, second);
}

inline __m512i load_bytes_as_words(const std::byte* from) {
  return _mm512_cvtepu8_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(from)));
}

template <class L, int C>
void kquant_group(const GemmArgs& a, std::int64_t g) {
  const ActivationTile& x = *a.tile;
  const std::int64_t k = x.k;
  const std::byte* group = a.groups + g * L::group_bytes(k);
  const __m512i low_mask = _mm512_set1_epi8(15);
  const __m512i bit_mask = _mm512_set1_epi8(16);
  alignas(64) float totals[C][kGroupRows];
  for (int c = 0; c < C; ++c) _mm512_store_ps(totals[c], _mm512_setzero_ps());
  for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
    alignas(64) std::byte tables[2][128];  // scales, minima: (8, 16 rows)
    const std::byte* packed = group + L::scale_offset(k) + b * 192;
    unpack_six_bits(packed, tables[0]);
    unpack_six_bits(packed + 96, tables[1]);
    const __m512 d = load_halves(group + L::d_offset(k) + b * 32);
    const std::byte* steps = group + b * L::kStepBytes;
    const std::byte* high = group + L::high_offset(k) + b * L::kHighBytes;
    __m512 sum[C];
    for (int c = 0; c < C; ++c) sum[c] = _mm512_setzero_ps();
#pragma GCC unroll 1
    for (int pair = 0; pair < 4; ++pair) {
#pragma GCC unroll 2
      for (int odd = 0; odd < 2; ++odd) {
        const int s = 2 * pair + odd;
        const std::int32_t* words = x.steps + (b * 64 + s * 8) * C;
        __m512i acc[C];
        for (int c = 0; c < C; ++c) acc[c] = _mm512_setzero_si512();
        const __m128i bit_shift = _mm_cvtsi32_si128(s < 4 ? 4 - s : s - 4);
#pragma GCC unroll 8
        for (int w = 0; w < 8; ++w) {
          __m512i step = load(steps + pair * 512 + 64 * w);
          if (odd == 1) step = _mm512_srli_epi16(step, 4);
          step = _mm512_and_si512(step, low_mask);
          if constexpr (L::kBits == 5) {
            const __m512i bits = load(high + 64 * w);
            const __m512i moved =
                s < 4 ? _mm512_sll_epi16(bits, bit_shift) : _mm512_srl_epi16(bits, bit_shift);
            step = _mm512_ternarylogic_epi32(step, moved, bit_mask, 0xf8);
          }
          multiply<C>(acc, step, words + w * C);
        }
        const __m512 scale = _mm512_mul_ps(d, _mm512_cvtepi32_ps(load_bytes_as_words(tables[0] + 16 * s)));
#pragma GCC unroll 12
        for (int c = 0; c < C; ++c) sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[c]), scale, sum[c]);
      }
    }
    // The minima: an int16 dot of 8 minima with the sums of the 8 runs, exact in int32.
    const __m512 dmin = load_halves(group + L::dmin_offset(k) + b * 32);
    __m512i acc[C];
    for (int c = 0; c < C; ++c) acc[c] = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m512i minima =
          _mm512_or_si512(load_bytes_as_words(tables[1] + 32 * j),
                          _mm512_slli_epi32(load_bytes_as_words(tables[1] + 32 * j + 16), 16));
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c)
        acc[c] = _mm512_dpwssd_epi32(acc[c], minima, broadcast(x.sum_pairs + (b * 4 + j) * C + c));
    }
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c) {
      const __m512 block = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(acc[c]), dmin, sum[c]);
      const __m512 total = _mm512_load_ps(totals[c]);
      _mm512_store_ps(totals[c], _mm512_fmadd_ps(block, broadcast(x.scales + b * C + c), total));
    }
  }
  __m512 sums[C];
  for (int c = 0; c < C; ++c) sums[c] = _mm512_load_ps(totals[c]);
  store_columns<C>(a, g, sums);
}

/// One column, G groups side by side: each broadcast activation word serves all of them. With one group every
/// line of weights costs four loads, and the load queue fills before enough lines are under way from memory.
template <class L, int G>
void kquant_single(const GemmArgs& a, std::int64_t g) {
  const ActivationTile& x = *a.tile;
  const std::int64_t k = x.k;
  const std::byte* groups = a.groups + g * L::group_bytes(k);
  const std::int64_t stride = L::group_bytes(k);
  const __m512i low_mask = _mm512_set1_epi8(15);
  const __m512i bit_mask = _mm512_set1_epi8(16);
  __m512 total[G];
  for (int n = 0; n < G; ++n) total[n] = _mm512_setzero_ps();
  for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
    alignas(64) std::byte tables[G][2][128];  // scales, minima: (8, 16 rows)
    __m512 sum[G];
    for (int n = 0; n < G; ++n) {
      const std::byte* packed = groups + n * stride + L::scale_offset(k) + b * 192;
      unpack_six_bits(packed, tables[n][0]);
      unpack_six_bits(packed + 96, tables[n][1]);
      sum[n] = _mm512_setzero_ps();
    }
#pragma GCC unroll 4
    for (int pair = 0; pair < 4; ++pair) {
      const std::int32_t* words = x.steps + b * 64 + pair * 16;
      __m512i low_acc[G], high_acc[G];
      for (int n = 0; n < G; ++n) low_acc[n] = high_acc[n] = _mm512_setzero_si512();
#pragma GCC unroll 8
      for (int w = 0; w < 8; ++w) {
        const __m512i low_x = broadcast(words + w), high_x = broadcast(words + 8 + w);
#pragma GCC unroll 4
        for (int n = 0; n < G; ++n) {
          const std::byte* group = groups + n * stride;
          const __m512i steps = load(group + b * L::kStepBytes + pair * 512 + 64 * w);
          __m512i low = _mm512_and_si512(steps, low_mask);
          __m512i upper = _mm512_and_si512(_mm512_srli_epi16(steps, 4), low_mask);
          if constexpr (L::kBits == 5) {
            const __m512i bits = load(group + L::high_offset(k) + b * L::kHighBytes + 64 * w);
            const __m512i low_bit = pair < 2 ? _mm512_slli_epi16(bits, static_cast<unsigned>(4 - 2 * pair))
                                             : _mm512_srli_epi16(bits, static_cast<unsigned>(2 * pair - 4));
            const __m512i high_bit = pair < 2 ? _mm512_slli_epi16(bits, static_cast<unsigned>(3 - 2 * pair))
                                              : _mm512_srli_epi16(bits, static_cast<unsigned>(2 * pair - 3));
            low = _mm512_ternarylogic_epi32(low, low_bit, bit_mask, 0xf8);
            upper = _mm512_ternarylogic_epi32(upper, high_bit, bit_mask, 0xf8);
          }
          low_acc[n] = _mm512_dpbusd_epi32(low_acc[n], low, low_x);
          high_acc[n] = _mm512_dpbusd_epi32(high_acc[n], upper, high_x);
        }
      }
#pragma GCC unroll 4
      for (int n = 0; n < G; ++n) {
        const __m512 d = load_halves(groups + n * stride + L::d_offset(k) + b * 32);
        const std::byte* scales = tables[n][0] + 32 * pair;
        const __m512 low_scale = _mm512_mul_ps(d, _mm512_cvtepi32_ps(load_bytes_as_words(scales)));
        const __m512 high_scale = _mm512_mul_ps(d, _mm512_cvtepi32_ps(load_bytes_as_words(scales + 16)));
        sum[n] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(low_acc[n]), low_scale, sum[n]);
        sum[n] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(high_acc[n]), high_scale, sum[n]);
      }
    }
    const __m512 scale = broadcast(x.scales + b);
#pragma GCC unroll 4
    for (int n = 0; n < G; ++n) {
      const __m512 dmin = load_halves(groups + n * stride + L::dmin_offset(k) + b * 32);
      __m512i acc = _mm512_setzero_si512();
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const std::byte* table = tables[n][1] + 32 * j;
        const __m512i minima = _mm512_or_si512(load_bytes_as_words(table),
                                               _mm512_slli_epi32(load_bytes_as_words(table + 16), 16));
        acc = _mm512_dpwssd_epi32(acc, minima, broadcast(x.sum_pairs + b * 4 + j));
      }
      total[n] = _mm512_fmadd_ps(_mm512_fnmadd_ps(_mm512_cvtepi32_ps(acc), dmin, sum[n]), scale, total[n]);
    }
  }
  for (int n = 0; n < G; ++n) store_columns<1>(a, g + n, total + n);
}

template <class L, int C>
void q6k_group(const GemmArgs& a, std::int64_t g) {
  const ActivationTile& x = *a.tile;
  const std::int64_t k = x.k;
  const std::byte* group = a.groups + g * L::group_bytes(k);
  const __m512i low_mask = _mm512_set1_epi8(15);
  const __m512i high_mask = _mm512_set1_epi8(0x30);
  alignas(64) float totals[C][kGroupRows];
  for (int c = 0; c < C; ++c) _mm512_store_ps(totals[c], _mm512_setzero_ps());
  for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
    const std::byte* scales = group + L::scale_offset(k) + b * 256;
    const __m512 d = load_halves(group + L::d_offset(k) + b * 32);
    __m512 sum[C];
    for (int c = 0; c < C; ++c) sum[c] = _mm512_setzero_ps();
#pragma GCC unroll 1
    for (int half = 0; half < 2; ++half) {
      const std::byte* steps = group + b * L::kStepBytes + half * 1024;
      const std::byte* high = group + L::high_offset(k) + b * L::kHighBytes + half * 512;
#pragma GCC unroll 4
      for (int quarter = 0; quarter < 4; ++quarter) {
#pragma GCC unroll 2
        for (int part = 0; part < 2; ++part) {  // a sub-block of 16
          const std::int64_t s = half * 8 + quarter * 2 + part;
          const std::int32_t* words = x.steps + (b * 64 + s * 4) * C;
          __m512i acc[C];
#pragma GCC unroll 12
          for (int c = 0; c < C; ++c) acc[c] = broadcast(x.starts[0] + (b * 16 + s) * C + c);
#pragma GCC unroll 4
          for (int i = 0; i < 4; ++i) {
            const int w = part * 4 + i;
            __m512i step = load(steps + 64 * (quarter % 2 * 8 + w));
            if (quarter >= 2) step = _mm512_srli_epi16(step, 4);
            step = _mm512_and_si512(step, low_mask);
            __m512i bits = load(high + 64 * w);
            if (quarter == 0) bits = _mm512_slli_epi16(bits, 4);
            if (quarter == 1) bits = _mm512_slli_epi16(bits, 2);
            if (quarter == 3) bits = _mm512_srli_epi16(bits, 2);
            multiply<C>(acc, _mm512_ternarylogic_epi32(step, bits, high_mask, 0xf8), words + i * C);
          }
          const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(scales + s * 16));
          const __m512 scale = _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)));
#pragma GCC unroll 12
          for (int c = 0; c < C; ++c) sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[c]), scale, sum[c]);
        }
      }
    }
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c) {
      const __m512 total = _mm512_load_ps(totals[c]);
      _mm512_store_ps(totals[c], _mm512_fmadd_ps(sum[c], broadcast(x.scales + b * C + c), total));
    }
  }
  __m512 sums[C];
  for (int c = 0; c < C; ++c) sums[c] = _mm512_load_ps(totals[c]);
  store_columns<C>(a, g, sums);
}

/// One column of Q6_K, G groups side by side, as in kquant_single.
template <class L, int G>
void q6k_single(const GemmArgs& a, std::int64_t g) {
  const ActivationTile& x = *a.tile;
  const std::int64_t k = x.k;
  const std::byte* groups = a.groups + g * L::group_bytes(k);
  const std::int64_t stride = L::group_bytes(k);
  const __m512i low_mask = _mm512_set1_epi8(15);
  const __m512i high_mask = _mm512_set1_epi8(0x30);
  __m512 total[G];
  for (int n = 0; n < G; ++n) total[n] = _mm512_setzero_ps();
  for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
    __m512 sum[G];
    for (int n = 0; n < G; ++n) sum[n] = _mm512_setzero_ps();
#pragma GCC unroll 1
    for (int half = 0; half < 2; ++half) {
#pragma GCC unroll 4
      for (int quarter = 0; quarter < 4; ++quarter) {
#pragma GCC unroll 2
        for (int part = 0; part < 2; ++part) {  // a sub-block of 16
          const std::int64_t s = half * 8 + quarter * 2 + part;
          const std::int32_t* words = x.steps + b * 64 + s * 4;
          const __m512i start = broadcast(x.starts[0] + b * 16 + s);
          __m512i acc[G];
          for (int n = 0; n < G; ++n) acc[n] = start;
#pragma GCC unroll 4
          for (int i = 0; i < 4; ++i) {
            const int w = part * 4 + i;
            const __m512i word = broadcast(words + i);
#pragma GCC unroll 4
            for (int n = 0; n < G; ++n) {
              const std::byte* group = groups + n * stride;
              __m512i step = load(group + b * L::kStepBytes + half * 1024 + 64 * (quarter % 2 * 8 + w));
              if (quarter >= 2) step = _mm512_srli_epi16(step, 4);
              step = _mm512_and_si512(step, low_mask);
              __m512i bits = load(group + L::high_offset(k) + b * L::kHighBytes + half * 512 + 64 * w);
              if (quarter == 0) bits = _mm512_slli_epi16(bits, 4);
              if (quarter == 1) bits = _mm512_slli_epi16(bits, 2);
              if (quarter == 3) bits = _mm512_srli_epi16(bits, 2);
              acc[n] =
                  _mm512_dpbusd_epi32(acc[n], _mm512_ternarylogic_epi32(step, bits, high_mask, 0xf8), word);
            }
          }
#pragma GCC unroll 4
          for (int n = 0; n < G; ++n) {
            const std::byte* scales = groups + n * stride + L::scale_offset(k) + b * 256 + s * 16;
            const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(scales));
            const __m512 d = load_halves(groups + n * stride + L::d_offset(k) + b * 32);
            const __m512 scale = _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)));
            sum[n] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[n]), scale, sum[n]);
          }
        }
      }
    }
    const __m512 scale = broadcast(x.scales + b);
    for (int n = 0; n < G; ++n) total[n] = _mm512_fmadd_ps(sum[n], scale, total[n]);
  }
  for (int n = 0; n < G; ++n) store_columns<1>(a, g + n, total + n);
}

/// Runs GROUP<C>(args, g) over all groups for the tile's width.
#define DW_GEMM_WIDTH(C, GROUP)                                      \
  case C:                                                            \
    for (std::int64_t g = 0; g < a.group_count; ++g) GROUP(C)(a, g); \
    break;
#define DW_GEMM_WIDTHS(GROUP) \
  switch (a.tile->width) {    \
    DW_GEMM_WIDTH(1, GROUP)   \
    DW_GEMM_WIDTH(2, GROUP)   \
    DW_GEMM_WIDTH(4, GROUP)   \
    DW_GEMM_WIDTH(6, GROUP)   \
    DW_GEMM_WIDTH(8, GROUP)   \
    DW_GEMM_WIDTH(12, GROUP)  \
    default:                  \
      DW_CHECK(false);        \
  }

}  // namespace deepwell::avx512
DW_ISA_END
