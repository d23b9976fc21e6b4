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

/// GCC makes a tree of a chain of integer additions, and has no registers for its leaves.
[[gnu::always_inline]] inline void keep_order(__m256i& sum) { asm("" : "+x"(sum)); }

/// What is read once is read again: GCC would keep it for later, and has no registers for that either.
[[gnu::always_inline]] inline void read_again(const std::byte*& from) { asm("" : "+r"(from)); }

/// sums16[c] += w . word of column c, in int16.
template <int N>
[[gnu::always_inline]] inline void multiply(__m256i (&sums16)[N], __m256i w, const std::int32_t* words) {
#pragma GCC unroll 6
  for (int c = 0; c < N; ++c) {
    sums16[c] = _mm256_add_epi16(sums16[c], _mm256_maddubs_epi16(w, _mm256_set1_epi32(words[c])));
    keep_order(sums16[c]);
  }
}

/// acc[c] += widened sums16[c], which start again from zero.
template <int N>
[[gnu::always_inline]] inline void flush(__m256i (&acc)[N], __m256i (&sums16)[N]) {
#pragma GCC unroll 4
  for (int c = 0; c < N; ++c) {
    acc[c] = _mm256_add_epi32(acc[c], widen(sums16[c]));
    keep_order(acc[c]);
    sums16[c] = _mm256_setzero_si256();
  }
}

/// acc[c] += w . word of column c for signed w: |w| times x with w's sign, since 255*127*2 would not fit
/// int16.
template <int N>
[[gnu::always_inline]] inline void multiply_signed(__m256i (&acc)[N], __m256i w, const std::int32_t* words) {
  const __m256i magnitude = _mm256_abs_epi8(w);
#pragma GCC unroll 4
  for (int c = 0; c < N; ++c) {
    const __m256i signed_x = _mm256_sign_epi8(_mm256_set1_epi32(words[c]), w);
    acc[c] = _mm256_add_epi32(acc[c], widen(_mm256_maddubs_epi16(magnitude, signed_x)));
    keep_order(acc[c]);
  }
}

template <int N>
[[gnu::always_inline]] inline void clear(__m256i (&registers)[N]) {
#pragma GCC unroll 6
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
      for (int w = 0; w < 8; ++w)
        multiply_signed<N>(acc, _mm256_xor_si256(load(steps + b * L::kStepBytes + 64 * w), sign),
                           words + w * width);
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
  const __m256i low_mask = _mm256_set1_epi8(15), high_mask = _mm256_set1_epi8(0x30);
  const __m256i left = _mm256_setr_epi64x(4, 4, 2, 2), right = _mm256_setr_epi64x(0, 0, 2, 2);
#pragma GCC unroll 2
  for (int four = 0; four < 2; ++four) {  // sub-blocks 4 * four and on
    const __m256i bits = _mm256_broadcastsi128_si256(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(table + 64 + 16 * four)));
    const __m256i high[2] = {_mm256_sllv_epi64(bits, left), _mm256_srlv_epi64(bits, right)};
#pragma GCC unroll 2
    for (int two = 0; two < 2; ++two) {
      __m256i low = load(table + 32 * two);
      if (four == 1) low = _mm256_srli_epi16(low, 4);
      _mm256_store_si256(
          reinterpret_cast<__m256i*>(out + 64 * four + 32 * two),
          _mm256_or_si256(_mm256_and_si256(low, low_mask), _mm256_and_si256(high[two], high_mask)));
    }
  }
}

/// Numbers of 16 bits that vpmaddwd multiplies with, two of each row.
struct RowPairs {
  alignas(32) __m256i rows[2];  ///< 8 rows each
};
inline __m256i load_bytes_as_words(const std::byte* from) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
}
inline __m256i pairs_of(__m256i first, __m256i second) {
  return _mm256_blend_epi16(first, _mm256_slli_epi32(second, 16), 0xaa);
}

/// acc[c] += the scaled sums16[c], which start again from zero.
template <int N>
[[gnu::always_inline]] inline void flush_scaled(__m256i (&acc)[N], __m256i (&sums16)[N], __m256i scale) {
#pragma GCC unroll 6
  for (int c = 0; c < N; ++c) {
    acc[c] = _mm256_add_epi32(acc[c], _mm256_madd_epi16(sums16[c], scale));
    keep_order(acc[c]);
    sums16[c] = _mm256_setzero_si256();
  }
}

/// acc[c] += the pairs' products with those of the columns.
template <int N>
[[gnu::always_inline]] inline void multiply_pairs(__m256i (&acc)[N], __m256i rows,
                                                  const std::int32_t* pairs) {
#pragma GCC unroll 6
  for (int c = 0; c < N; ++c) {
    acc[c] = _mm256_add_epi32(acc[c], _mm256_madd_epi16(rows, _mm256_set1_epi32(pairs[c])));
    keep_order(acc[c]);
  }
}

/// total += scale * block
inline void add_scaled(float* total, __m256 block, float scale) {
  _mm256_store_ps(total, _mm256_fmadd_ps(block, _mm256_set1_ps(scale), _mm256_load_ps(total)));
}

/// Columns of the tile whose sums stay in registers, two each.
constexpr int columns_at_once(int width) { return width <= 6 ? width : width / 2; }

template <int W>
void store_totals(const GemmArgs& a, std::int64_t g, const float (&totals)[2][W][8]) {
  for (int half = 0; half < 2; ++half) {
    for (int c = 0; c < W; ++c) {
      const __m256 sum = _mm256_load_ps(totals[half][c]);
      store_columns<1>(a, g * kGroupRows + 8 * half, c, &sum);
    }
  }
}

/// Products of a block of 256 are added as integers, scaled: 30480 * 2 * 63 * 8 < 2^25.
template <class L>
struct KQuantGemm {
  template <int W>
  static void pass(const GemmArgs& a, std::int64_t g) {
    const ActivationTile& x = *a.tile;
    const std::int64_t k = x.k, stride = L::group_bytes(k);
    const std::byte* group = a.groups + g * stride;
    alignas(32) float totals[2][W][8] = {};
    for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
      if (a.from_memory) fetch_next_group(group, stride, b, k / L::kBlock);
      RowPairs scales[8], minima[4];
      unpack(group + L::scale_offset(k) + b * 192, scales, minima);
      for (int half = 0; half < 2; ++half)
        for (int column = 0; column < W; column += columns_at_once(W))
          add_block<W>(x, group, b, half, column, scales, minima, totals[half] + column);
    }
    store_totals<W>(a, g, totals);
  }

  /// Alone, so that its sums have the registers.
  template <int W>
  [[gnu::noinline]] static void add_block(const ActivationTile& x, const std::byte* group, std::int64_t b,
                                          int half, int column, const RowPairs* scales,
                                          const RowPairs* minima, float (*totals)[8]) {
    constexpr int N = columns_at_once(W);
    const __m256 d = load_halves(group + L::d_offset(x.k) + b * 32 + 16 * half);
    const __m256 dmin = load_halves(group + L::dmin_offset(x.k) + b * 32 + 16 * half);
    __m256i acc[N], offsets[N];
    clear(acc);
    multiply_runs<W>(acc, group + 32 * half, x.k, b, scales, half, x.steps + b * 64 * W + column);
    clear(offsets);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j)
      multiply_pairs(offsets, minima[j].rows[half], x.sum_pairs + (b * 4 + j) * W + column);
#pragma GCC unroll 6
    for (int c = 0; c < N; ++c) {
      const __m256 block = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[c]), d);
      add_scaled(totals[c], _mm256_fnmadd_ps(_mm256_cvtepi32_ps(offsets[c]), dmin, block),
                 x.scales[b * W + column + c]);
    }
  }

  /// The scale of each of 8 runs twice, and the minima of runs 2j and 2j+1.
  static void unpack(const std::byte* packed, RowPairs (&scales)[8], RowPairs (&minima)[4]) {
    alignas(32) std::byte table[2][128];
    unpack_six_bits(packed, table[0]);
    unpack_six_bits(packed + 96, table[1]);
#pragma GCC unroll 8
    for (int i = 0; i < 16; ++i) {
      const __m256i scale = load_bytes_as_words(table[0] + 8 * i);
      scales[i / 2].rows[i % 2] = pairs_of(scale, scale);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      const std::byte* first = table[1] + i / 2 * 32 + i % 2 * 8;
      minima[i / 2].rows[i % 2] = pairs_of(load_bytes_as_words(first), load_bytes_as_words(first + 16));
    }
  }

  template <int W, int N>
  [[gnu::always_inline]] static void multiply_runs(__m256i (&acc)[N], const std::byte* group, std::int64_t k,
                                                   std::int64_t b, const RowPairs* scales, int half,
                                                   const std::int32_t* words) {
    // Few columns unpack a byte of two nibbles once; more have no registers for both nibbles' sums.
    constexpr int kNibbles = N <= 2 ? 2 : 1;
    constexpr int kPairs = L::kBits == 5 ? 4 : 1;  // unrolled: fifth bits are shifted by constants
    const __m256i low_mask = _mm256_set1_epi8(15), bit_mask = _mm256_set1_epi8(16);
#pragma GCC unroll 1
    for (int outer = 0; outer < 4; outer += kPairs) {
#pragma GCC unroll 4
      for (int pair = outer; pair < outer + kPairs; ++pair) {
#pragma GCC unroll 2
        for (int nibble = 0; nibble < 2; nibble += kNibbles) {
          read_again(group);
          __m256i sums16[kNibbles][N];
          for (int i = 0; i < kNibbles; ++i) clear(sums16[i]);
#pragma GCC unroll 8
          for (int w = 0; w < 8; ++w) {
            const __m256i both = load(group + b * L::kStepBytes + pair * 512 + 64 * w);
#pragma GCC unroll 2
            for (int i = 0; i < kNibbles; ++i) {
              __m256i step = _mm256_and_si256(nibble + i == 1 ? _mm256_srli_epi16(both, 4) : both, low_mask);
              if constexpr (L::kBits == 5) {
                const __m256i bits = load(group + L::high_offset(k) + b * L::kHighBytes + 64 * w);
                const int by = 2 * pair + nibble + i - 4;
                const __m256i moved = by < 0 ? _mm256_slli_epi16(bits, -by) : _mm256_srli_epi16(bits, by);
                step = _mm256_or_si256(step, _mm256_and_si256(moved, bit_mask));
              }
              multiply<N>(sums16[i], step, words + (pair * 16 + (nibble + i) * 8 + w) * W);
              if (L::kBits == 5 && w == 3)
                flush_scaled(acc, sums16[i], scales[2 * pair + nibble + i].rows[half]);
            }
          }
#pragma GCC unroll 2
          for (int i = 0; i < kNibbles; ++i)
            flush_scaled(acc, sums16[i], scales[2 * pair + nibble + i].rows[half]);
        }
      }
    }
  }
};

/// Products of a block of 256 are added as integers, scaled: 32004 * 2 * 128 * 32 < 2^28; and so are the
/// offsets of the steps, 32 * 128 * 127 * 256 < 2^28.
template <class L>
struct Q6KGemm {
  template <int W>
  static void pass(const GemmArgs& a, std::int64_t g) {
    const ActivationTile& x = *a.tile;
    const std::int64_t k = x.k, stride = L::group_bytes(k);
    const std::byte* group = a.groups + g * stride;
    alignas(32) float totals[2][W][8] = {};
    for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
      if (a.from_memory) fetch_next_group(group, stride, b, k / L::kBlock);
      RowPairs scales[16], run_scales[8];
      unpack(group + L::scale_offset(k) + b * 256, scales, run_scales);
      for (int half = 0; half < 2; ++half)
        for (int column = 0; column < W; column += columns_at_once(W))
          add_block<W>(x, group, b, half, column, scales, run_scales, totals[half] + column);
    }
    store_totals<W>(a, g, totals);
  }

  template <int W>
  [[gnu::noinline]] static void add_block(const ActivationTile& x, const std::byte* group, std::int64_t b,
                                          int half, int column, const RowPairs* scales,
                                          const RowPairs* run_scales, float (*totals)[8]) {
    constexpr int N = columns_at_once(W);
    const __m256 d = load_halves(group + L::d_offset(x.k) + b * 32 + 16 * half);
    __m256i acc[N];
    clear(acc);
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j)
      multiply_pairs(acc, run_scales[j].rows[half], x.run_pairs + (b * 8 + j) * W + column);
#pragma GCC unroll 6
    for (int c = 0; c < N; ++c)
      acc[c] = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32(acc[c], 5));
    multiply_runs<W>(acc, group + 32 * half, x.k, b, scales, half, x.steps + b * 64 * W + column);
#pragma GCC unroll 6
    for (int c = 0; c < N; ++c)
      add_scaled(totals[c], _mm256_mul_ps(_mm256_cvtepi32_ps(acc[c]), d), x.scales[b * W + column + c]);
  }

  /// The scale of each of 16 runs twice, and those of two runs in the order of a tile's run_pairs.
  static void unpack(const std::byte* packed, RowPairs (&scales)[16], RowPairs (&run_scales)[8]) {
#pragma GCC unroll 8
    for (int i = 0; i < 32; ++i) {
      const __m256i scale =
          _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(packed + 8 * i)));
      scales[i / 2].rows[i % 2] = pairs_of(scale, scale);
    }
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      const int run = j / 2 * 4 + j % 2;
      for (int half = 0; half < 2; ++half)
        run_scales[j].rows[half] =
            _mm256_blend_epi16(scales[run].rows[half], scales[run + 2].rows[half], 0xaa);
    }
  }

  template <int W, int N>
  [[gnu::always_inline]] static void multiply_runs(__m256i (&acc)[N], const std::byte* group, std::int64_t k,
                                                   std::int64_t b, const RowPairs* scales, int half_group,
                                                   const std::int32_t* words) {
#pragma GCC unroll 1
    for (int half = 0; half < 2; ++half) {
      const std::byte* nibbles = group + b * L::kStepBytes + half * 1024;
      const std::byte* high = group + L::high_offset(k) + b * L::kHighBytes + half * 512;
#pragma GCC unroll 4
      for (int quarter = 0; quarter < 4; ++quarter) {
#pragma GCC unroll 2
        for (int part = 0; part < 2; ++part) {  // a run of 16
          const int run = half * 8 + quarter * 2 + part;
          read_again(nibbles);
          read_again(high);
          __m256i sums16[N];
          clear(sums16);
#pragma GCC unroll 4
          for (int i = 0; i < 4; ++i) {
            const int w = part * 4 + i;
            const __m256i step =
                steps_of(load(nibbles + 64 * (quarter % 2 * 8 + w)), load(high + 64 * w), quarter);
            multiply<N>(sums16, step, words + (run * 4 + i) * W);
            if (i % 2 == 1) flush_scaled(acc, sums16, scales[run].rows[half_group]);
          }
        }
      }
    }
  }

  /// A quarter's steps of 6 bits.
  [[gnu::always_inline]] static __m256i steps_of(__m256i nibbles, __m256i bits, int quarter) {
    if (quarter >= 2) nibbles = _mm256_srli_epi16(nibbles, 4);
    if (quarter == 0) bits = _mm256_slli_epi16(bits, 4);
    if (quarter == 1) bits = _mm256_slli_epi16(bits, 2);
    if (quarter == 3) bits = _mm256_srli_epi16(bits, 2);
    return _mm256_or_si256(_mm256_and_si256(nibbles, _mm256_set1_epi8(15)),
                           _mm256_and_si256(bits, _mm256_set1_epi8(0x30)));
  }
};

template <class Format, int W>
void run_groups(const GemmArgs& a) {
  for (std::int64_t g = 0; g < a.group_count; ++g) Format::template pass<W>(a, g);
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
      return run_groups<Format, 12>(a);
    default:
      DW_CHECK(false);
  }
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
