// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>

#include "engine/kernels/fetch_next_group.h"
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

template <class Format, int C, bool kFetch = true>
void run_groups(const GemmArgs& a) {
  for (std::int64_t g = 0; g < a.group_count; ++g) Format::template pass<C, kFetch>(a, g);
}

template <class Format>
void run_gemm(const GemmArgs& a) {
  switch (a.tile->width) {
    case 1:
      return run_groups<Format, 1>(a);
    case 2:
      return run_groups<Format, 2>(a);
    case 4:
      return run_groups<Format, 4>(a);
    case 6:
      return run_groups<Format, 6>(a);
    case 8:
      return run_groups<Format, 8>(a);
    case 12:
      // Most tiles of a prompt find the weights in the cache; even a branch not taken slows them.
      return a.from_memory ? run_groups<Format, 12>(a) : run_groups<Format, 12, false>(a);
    default:
      DW_CHECK(false);
  }
}

template <class L>
struct LegacyGemm {
  /// Columns 0..C-1 of group g.
  template <int C, bool kFetch>
  static void pass(const GemmArgs& a, std::int64_t g) {
    const ActivationTile& x = *a.tile;
    const std::int64_t k = x.k, stride = L::group_bytes(k);
    const std::byte* group = a.groups + g * stride;
    const std::int32_t* starts = x.starts[L::kBits == 4 ? 0 : L::kBits == 5 ? 1 : 2];
    __m512 sum[C];
    for (int c = 0; c < C; ++c) sum[c] = _mm512_setzero_ps();
    for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
      if constexpr (kFetch) fetch_next_group(group, stride, b, k / L::kBlock);
      const std::int32_t* words = x.steps + b * 8 * C;
      __m512i acc[C];
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c)
        acc[c] = L::kMinimum ? _mm512_setzero_si512() : broadcast(starts + b * C + c);
      multiply_block<C>(acc, group, k, b, words);
      const __m512 scale = load_halves(group + L::scale_offset(k) + b * 32);
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c)
        sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[c]),
                                 _mm512_mul_ps(scale, broadcast(x.scales + b * C + c)), sum[c]);
      if constexpr (L::kMinimum) {
        const __m512 minimum = load_halves(group + L::minimum_offset(k) + b * 32);
#pragma GCC unroll 12
        for (int c = 0; c < C; ++c)
          sum[c] = _mm512_fmadd_ps(minimum, broadcast(x.scaled_sums + b * C + c), sum[c]);
      }
    }
    store_columns<C>(a, g, sum);
  }

  template <int C>
  [[gnu::always_inline]] static void multiply_block(__m512i (&acc)[C], const std::byte* group, std::int64_t k,
                                                    std::int64_t b, const std::int32_t* words) {
    const __m512i low_mask = _mm512_set1_epi8(15), bit_mask = _mm512_set1_epi8(16);
#pragma GCC unroll 8
    for (int w = 0; w < L::kStepBytes / 64; ++w) {
      const __m512i steps = load(group + b * L::kStepBytes + 64 * w);
      if constexpr (L::kBits == 8) {
        multiply<C>(acc, steps, words + w * C);
      } else {
        __m512i low = _mm512_and_si512(steps, low_mask);
        __m512i upper = _mm512_and_si512(_mm512_srli_epi16(steps, 4), low_mask);
        if constexpr (L::kBits == 5) {  // bit w belongs to the low nibbles, bit w+4 to the high ones
          const __m512i bits = load(group + L::high_offset(k) + b * 64);
          const __m512i low_bit = _mm512_slli_epi16(bits, static_cast<unsigned>(4 - w));
          const __m512i upper_bit = _mm512_srli_epi16(bits, static_cast<unsigned>(w));
          low = _mm512_ternarylogic_epi32(low, low_bit, bit_mask, 0xf8);  // low | (bit & mask)
          upper = _mm512_ternarylogic_epi32(upper, upper_bit, bit_mask, 0xf8);
        }
        multiply<C>(acc, low, words + w * C);
        multiply<C>(acc, upper, words + (w + 4) * C);
      }
    }
  }
};

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

/// total += scale * block
inline void add_scaled(float* total, __m512 block, const float* scale) {
  _mm512_store_ps(total, _mm512_fmadd_ps(block, broadcast(scale), _mm512_load_ps(total)));
}

template <int C>
void store_totals(const GemmArgs& a, std::int64_t group, const float (&totals)[C][kGroupRows]) {
  __m512 sums[C];
  for (int c = 0; c < C; ++c) sums[c] = _mm512_load_ps(totals[c]);
  store_columns<C>(a, group, sums);
}

template <class L>
struct KQuantGemm {
  template <int C, bool kFetch>
  static void pass(const GemmArgs& a, std::int64_t g) {
    // Few columns unpack a byte of two nibbles once; many have no registers for both nibbles' sums.
    constexpr int kNibbles = C <= 4 ? 2 : 1;
    constexpr int kUnrolled = C <= 4 ? 8 : 2;  // runs of 32 k; with more columns there is work enough in two
    const ActivationTile& x = *a.tile;
    const std::int64_t k = x.k, stride = L::group_bytes(k);
    const std::byte* group = a.groups + g * stride;
    alignas(64) float totals[C][kGroupRows] = {};
    for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
      if constexpr (kFetch) fetch_next_group(group, stride, b, k / L::kBlock);
      alignas(64) std::byte tables[2][128];  // scales, minima: (8, 16 rows)
      __m512 sum[C];
      const std::byte* packed = group + L::scale_offset(k) + b * 192;
      unpack_six_bits(packed, tables[0]);
      unpack_six_bits(packed + 96, tables[1]);
      for (int c = 0; c < C; ++c) sum[c] = _mm512_setzero_ps();
#pragma GCC unroll 1
      for (int outer = 0; outer < 8; outer += kUnrolled) {
#pragma GCC unroll 8
        for (int s = outer; s < outer + kUnrolled; s += kNibbles) {
          __m512i acc[kNibbles][C];
          for (int i = 0; i < kNibbles; ++i)
            for (int c = 0; c < C; ++c) acc[i][c] = _mm512_setzero_si512();
          multiply_runs<C, kNibbles>(acc, group, k, b, s, x.steps + (b * 64 + s * 8) * C);
          const __m512 d = load_halves(group + L::d_offset(k) + b * 32);
#pragma GCC unroll 2
          for (int i = 0; i < kNibbles; ++i) {
            const __m512i steps = load_bytes_as_words(tables[0] + 16 * (s + i));
            const __m512 scale = _mm512_mul_ps(d, _mm512_cvtepi32_ps(steps));
#pragma GCC unroll 12
            for (int c = 0; c < C; ++c)
              sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[i][c]), scale, sum[c]);
          }
        }
      }
      const __m512 dmin = load_halves(group + L::dmin_offset(k) + b * 32);
      add_block<C>(totals, sum, dmin, tables[1], x, b);
    }
    store_totals<C>(a, g, totals);
  }

  /// Runs s..s+kNibbles-1 of 32 k; s is even, or one nibble is asked for.
  template <int C, int kNibbles>
  [[gnu::always_inline]] static void multiply_runs(__m512i (&acc)[kNibbles][C], const std::byte* group,
                                                   std::int64_t k, std::int64_t b, int s,
                                                   const std::int32_t* words) {
    const __m512i low_mask = _mm512_set1_epi8(15), bit_mask = _mm512_set1_epi8(16);
#pragma GCC unroll 8
    for (int w = 0; w < 8; ++w) {
      const __m512i pair = load(group + b * L::kStepBytes + s / 2 * 512 + 64 * w);
#pragma GCC unroll 2
      for (int i = 0; i < kNibbles; ++i) {
        __m512i step = (s + i) % 2 == 1 ? _mm512_srli_epi16(pair, 4) : pair;
        step = _mm512_and_si512(step, low_mask);
        if constexpr (L::kBits == 5) {
          const __m512i bits = load(group + L::high_offset(k) + b * L::kHighBytes + 64 * w);
          // To bit 4 of its byte; what comes over from the neighbours is masked away.
          const int by = s + i - 4;
          const __m512i moved = kNibbles == 1 ? _mm512_rorv_epi32(bits, _mm512_set1_epi32(by & 31))
                                : by < 0      ? _mm512_slli_epi16(bits, static_cast<unsigned>(-by))
                                              : _mm512_srli_epi16(bits, static_cast<unsigned>(by));
          step = _mm512_ternarylogic_epi32(step, moved, bit_mask, 0xf8);
        }
        multiply<C>(acc[i], step, words + (8 * i + w) * C);
      }
    }
  }

  /// The minima, an int16 dot of 8 of them with the sums of the 8 runs, exact in int32, come off the block's
  /// sum.
  template <int C>
  [[gnu::always_inline]] static void add_block(float (&totals)[C][kGroupRows], const __m512 (&sum)[C],
                                               __m512 dmin, const std::byte* table, const ActivationTile& x,
                                               std::int64_t b) {
    __m512i acc[C];
    for (int c = 0; c < C; ++c) acc[c] = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m512i minima = _mm512_or_si512(load_bytes_as_words(table + 32 * j),
                                             _mm512_slli_epi32(load_bytes_as_words(table + 32 * j + 16), 16));
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c)
        acc[c] = _mm512_dpwssd_epi32(acc[c], minima, broadcast(x.sum_pairs + (b * 4 + j) * C + c));
    }
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c)
      add_scaled(totals[c], _mm512_fnmadd_ps(_mm512_cvtepi32_ps(acc[c]), dmin, sum[c]), x.scales + b * C + c);
  }
};

template <class L>
struct Q6KGemm {
  template <int C, bool kFetch>
  static void pass(const GemmArgs& a, std::int64_t g) {
    // Few columns unpack a byte of a quarter and of the others once; many have no registers for their sums.
    constexpr int kQuarters = C <= 4 ? 4 : 1;
    const ActivationTile& x = *a.tile;
    const std::int64_t k = x.k, stride = L::group_bytes(k);
    const std::byte* group = a.groups + g * stride;
    alignas(64) float totals[C][kGroupRows] = {};
    for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
      if constexpr (kFetch) fetch_next_group(group, stride, b, k / L::kBlock);
      __m512 sum[C];
      for (int c = 0; c < C; ++c) sum[c] = _mm512_setzero_ps();
#pragma GCC unroll 1
      for (int half = 0; half < 2; ++half) {
#pragma GCC unroll 2
        for (int part = 0; part < 2; ++part) {
#pragma GCC unroll 4
          for (int quarter = 0; quarter < 4; quarter += kQuarters) {  // a sub-block of 16 of each
            __m512i acc[kQuarters][C];
#pragma GCC unroll 4
            for (int q = 0; q < kQuarters; ++q) {
              const std::int64_t s = half * 8 + (quarter + q) * 2 + part;
#pragma GCC unroll 12
              for (int c = 0; c < C; ++c) acc[q][c] = broadcast(x.starts[0] + (b * 16 + s) * C + c);
            }
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
#pragma GCC unroll 4
              for (int q = 0; q < kQuarters; ++q) {
                const std::int64_t s = half * 8 + (quarter + q) * 2 + part;
                multiply<C>(acc[q], steps_of(group, k, b, half, quarter + q, part * 4 + i),
                            x.steps + (b * 64 + s * 4 + i) * C);
              }
            }
#pragma GCC unroll 4
            for (int q = 0; q < kQuarters; ++q) {
              const std::int64_t s = half * 8 + (quarter + q) * 2 + part;
              const std::byte* scales = group + L::scale_offset(k) + b * 256 + s * 16;
              const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(scales));
              const __m512 d = load_halves(group + L::d_offset(k) + b * 32);
              const __m512 scale = _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)));
#pragma GCC unroll 12
              for (int c = 0; c < C; ++c)
                sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[q][c]), scale, sum[c]);
            }
          }
        }
      }
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c) add_scaled(totals[c], sum[c], x.scales + b * C + c);
    }
    store_totals<C>(a, g, totals);
  }

  /// Word w of 8 of a quarter of 32 k, as steps of 6 bits.
  [[gnu::always_inline]] static __m512i steps_of(const std::byte* group, std::int64_t k, std::int64_t b,
                                                 int half, int quarter, int w) {
    const std::byte* nibbles = group + b * L::kStepBytes + half * 1024 + 64 * (quarter % 2 * 8 + w);
    const std::byte* high = group + L::high_offset(k) + b * L::kHighBytes + half * 512 + 64 * w;
    __m512i step = load(nibbles), bits = load(high);
    if (quarter >= 2) step = _mm512_srli_epi16(step, 4);
    step = _mm512_and_si512(step, _mm512_set1_epi8(15));
    if (quarter == 0) bits = _mm512_slli_epi16(bits, 4);
    if (quarter == 1) bits = _mm512_slli_epi16(bits, 2);
    if (quarter == 3) bits = _mm512_srli_epi16(bits, 2);
    return _mm512_ternarylogic_epi32(step, bits, _mm512_set1_epi8(0x30), 0xf8);
  }
};

}  // namespace deepwell::avx512
DW_ISA_END
