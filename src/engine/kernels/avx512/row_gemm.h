// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kernels/avx512/gemm_int8.h"
#include "engine/quant/wide_rows.h"

// Products of one tile with types that are widened otherwise: a row's weights are made 64 at a time in a
// register, signs go to the activations, and nothing is written. The same bits as gemm_wide: integer sums of
// runs are exact, and the floats are added in its order, all 16 rows at once.

DW_AVX512_BEGIN
namespace deepwell::avx512 {

/// A block of a row: 256 levels, 64 a register, where they are less than 0 (of types whose levels are above
/// 0, with signs), and the scales of its runs, 16 or 8 of them.
struct RowBlock {
  __m512i levels[4];
  __mmask64 negative[4];
  __m512 scales;
};

inline __m512 half_everywhere(const std::byte* from) {
  return _mm512_set1_ps(_cvtsh_ss(load_as<std::uint16_t>(from)));
}

/// The sums of 4 lanes each of four registers: those of their first lanes, then of the next.
inline __m512i lane_sums(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}
/// The same register by register: sums of 16 runs of 16.
inline __m512i fold_runs(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(order, lane_sums(a, b, c, d));
}

/// The sums of a block's 16 runs of 16 steps with one column. Levels without signs are 64 too large, twice
/// what the starts of the runs make good.
template <bool kSigned>
[[gnu::always_inline]] inline __m512i run_sums(const RowBlock& row, const __m512i* x, __m512i starts) {
  const __m512i zero = _mm512_setzero_si512();
  __m512i dot[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    dot[i] = _mm512_dpbusd_epi32(zero, row.levels[i],
                                 kSigned ? _mm512_mask_sub_epi8(x[i], row.negative[i], zero, x[i]) : x[i]);
  const __m512i sums = fold_runs(dot[0], dot[1], dot[2], dot[3]);
  return kSigned ? sums : _mm512_add_epi32(sums, _mm512_add_epi32(starts, starts));
}

/// Levels of -1, 0 and 1, in eighths: 8 times as many and one more, or less where `down`; 64 too large.
inline __m512i eighths(__m512i levels, __mmask8 down) {
  const __m512i eight = _mm512_and_si512(_mm512_slli_epi16(levels, 3), _mm512_set1_epi8(-8));
  return _mm512_add_epi8(eight, _mm512_mask_blend_epi64(down, _mm512_set1_epi8(65), _mm512_set1_epi8(63)));
}

/// Bytes of 7 signs get the eighth, which makes the number of minus signs even (kEvenSigns).
inline __m256i even_signs(__m256i seven) {
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i odd = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128, -128, 0));
  const __m256i low = _mm256_shuffle_epi8(odd, _mm256_and_si256(seven, nibble));
  const __m256i high = _mm256_shuffle_epi8(odd, _mm256_and_si256(_mm256_srli_epi16(seven, 4), nibble));
  return _mm256_or_si256(seven, _mm256_xor_si256(low, high));
}
inline __m256i part_of_words(__m256i words, unsigned mask) {
  return _mm256_and_si256(words, _mm256_set1_epi32(static_cast<int>(mask)));
}
/// 4 times 7 signs in the lower bits of each word, as bytes.
inline __m256i even_signs_of_words(__m256i words) {
  return even_signs(_mm256_or_si256(
      _mm256_or_si256(part_of_words(words, 0x7fU), part_of_words(_mm256_slli_epi32(words, 1), 0x7f00U)),
      _mm256_or_si256(part_of_words(_mm256_slli_epi32(words, 2), 0x7f0000U),
                      part_of_words(_mm256_slli_epi32(words, 3), 0x7f000000U))));
}

/// Nibbles of 8 bytes, the lower one of each first, as 16 numbers.
inline __m512i nibbles(std::uint64_t bytes) {
  const __m128i both = _mm_cvtsi64_si128(static_cast<long long>(bytes));
  const __m128i low = _mm_and_si128(both, _mm_set1_epi8(15));
  const __m128i high = _mm_and_si128(_mm_srli_epi16(both, 4), _mm_set1_epi8(15));
  return _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(low, high));
}
/// d * (step + 1/2) * factor, as the type's Codec computes it.
inline __m512 half_step_scales(const std::byte* d, __m512i steps, float factor) {
  const __m512 moved = _mm512_add_ps(_mm512_set1_ps(0.5F), _mm512_cvtepi32_ps(steps));
  return _mm512_mul_ps(_mm512_mul_ps(half_everywhere(d), moved), _mm512_set1_ps(factor));
}
/// d * (2 * step + 1) * factor
inline __m512 odd_scales(__m512 d, __m512i steps, float factor) {
  const __m512i odd = _mm512_add_epi32(_mm512_add_epi32(steps, steps), _mm512_set1_epi32(1));
  return _mm512_mul_ps(_mm512_mul_ps(d, _mm512_cvtepi32_ps(odd)), _mm512_set1_ps(factor));
}

/// 64 weights from 8 entries of a codebook; entry(i) is number i's.
template <class Entry>
[[gnu::always_inline]] inline __m512i eight_entries(Entry entry) {
  const auto at = [&](int i) { return std::bit_cast<long long>(entry(i)); };
  return _mm512_setr_epi64(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7));
}
template <class Entry>
[[gnu::always_inline]] inline __m512i sixteen_entries(Entry entry) {
  const auto at = [&](int i) { return std::bit_cast<int>(entry(i)); };
  return _mm512_setr_epi32(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(8), at(9), at(10),
                           at(11), at(12), at(13), at(14), at(15));
}

/// A block's levels are entries of a codebook of 8 or of 4 bytes, entry(i) number i's; a bit of `negative` a
/// weight tells which are less than 0.
template <class Entry>
[[gnu::always_inline]] inline void set_signed(RowBlock& row, Entry entry, const std::byte* negative) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    if constexpr (sizeof(entry(0)) == 8)
      row.levels[i] = eight_entries([&](int n) { return entry(8 * i + n); });
    else
      row.levels[i] = sixteen_entries([&](int n) { return entry(16 * i + n); });
    row.negative[i] = _cvtu64_mask64(load_as<std::uint64_t>(negative + 8 * i));
  }
}

/// Register i's lane j becomes register j's lane i.
inline void transpose(__m512i (&m)[16]) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(m[i], m[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(m[i], m[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    m[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    m[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    m[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    m[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(m[i], m[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(m[i], m[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(m[i + 8], m[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(m[i + 8], m[i + 12], 0xdd);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    m[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    m[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    m[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    m[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

/// T::row(block, row) fills a RowBlock.
template <class T>
struct RowGemm {
  template <int C, bool kFetch>
  static void pass(const GemmArgs& a, std::int64_t g) {
    const ActivationTile& x = *a.tile;
    const std::int64_t blocks = x.k / WideRows::kBlock, row_bytes = blocks * T::kBytes;
    const std::int64_t stride = round_up(kGroupRows * row_bytes, 64);
    const std::byte* group = a.groups + g * stride;
    __m512 totals[C];
    for (int c = 0; c < C; ++c) totals[c] = _mm512_setzero_ps();
    for (std::int64_t b = 0; b < blocks; ++b) {
      if constexpr (kFetch) fetch_next_group(group, stride, b, blocks);
      __m512i words[C][4], starts[C], sums[C][16], scales[16];
      for (int c = 0; c < C; ++c) {  // a column's, one after another
        alignas(64) std::int32_t line[80];
        for (int w = 0; w < 64; ++w) line[w] = x.steps[(b * 64 + w) * C + c];
        for (int s = 0; s < 16; ++s) line[64 + s] = x.starts[0][(b * 16 + s) * C + c];
        for (int i = 0; i < 4; ++i) words[c][i] = _mm512_load_si512(line + 16 * i);
        starts[c] = _mm512_load_si512(line + 64);
      }
      for (int r = 0; r < kGroupRows; ++r) {
        RowBlock row;
        T::row(group + r * row_bytes + b * T::kBytes, row);
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) sums[c][r] = run_sums<T::kSigned>(row, words[c], starts[c]);
        scales[r] = _mm512_castps_si512(row.scales);
      }
      transpose(scales);
      constexpr int kRuns = WideRows::run(T::kForm) / 16;
      for (int c = 0; c < C; ++c) {
        transpose(sums[c]);
        __m512 sum = _mm512_setzero_ps();
#pragma GCC unroll 16
        for (int s = 0; s < 16 / kRuns; ++s) {
          const __m512i acc =
              kRuns == 1 ? sums[c][s] : _mm512_add_epi32(sums[c][2 * s % 16], sums[c][(2 * s + 1) % 16]);
          sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc), _mm512_castsi512_ps(scales[s]), sum);
        }
        totals[c] = _mm512_fmadd_ps(sum, broadcast(x.scales + b * C + c), totals[c]);
      }
    }
    store_columns<C>(a, g, totals);
  }
};

}  // namespace deepwell::avx512
DW_ISA_END
