// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kernels/avx512/gemm_int8.h"
#include "engine/quant/two_bit_planes.h"

// Q2_K and Q3_K: a step times its sub-block's scale fits in a byte, so one integer sum runs over a whole
// block and no sub-block is converted to floats. vpshufb looks the products up: a 128-bit lane holds 4 rows,
// its table the products of each with steps 0 to 3. A third bit adds 4 times the scale. Products of Q3_K,
// -124 to 128, are taken as 127 more, which a tile's starts[1] take off again.

DW_AVX512_BEGIN
namespace deepwell::avx512 {

/// Scales of sub-blocks 4w..4w+3, a byte each.
template <class L>
[[gnu::always_inline]] inline __m512i four_scales(const std::byte* table, int w) {
  const __m512i low_mask = _mm512_set1_epi8(15);
  if constexpr (L::kMinima) {
    return _mm512_and_si512(load(table + 64 * w), low_mask);
  } else {
    const __m512i nibbles = load(table + w % 2 * 64);
    const __m512i low = _mm512_and_si512(_mm512_srl_epi16(nibbles, _mm_cvtsi32_si128(w / 2 * 4)), low_mask);
    const __m512i upper = _mm512_rorv_epi32(load(table + 128), _mm512_set1_epi32((2 * w - 4) & 31));
    return _mm512_ternarylogic_epi32(low, upper, _mm512_set1_epi8(0x30), 0xf8);  // low | (upper & mask)
  }
}

/// Byte numbers in a 128-bit lane: 4 times the row, everywhere in its word.
inline __m512i first_of_rows() {
  return _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
}
/// The products of a sub-block, whose scale is byte `i` of each word of `scales`, with steps 0 to 3 (of 3
/// bits: less 4, and 127 more); `four` is 4 times the scale.
template <class L>
[[gnu::always_inline]] inline __m512i products(__m512i scales, int i, __m512i four) {
  const auto spread = static_cast<int>(0x80008000U | static_cast<unsigned>(i) * 0x00010001U);
  const __m512i both =
      _mm512_shuffle_epi8(scales, _mm512_or_si512(first_of_rows(), _mm512_set1_epi32(spread)));
  const __m512i times = _mm512_mullo_epi16(both, _mm512_set1_epi32(0x03020100));
  if constexpr (L::kMinima) return times;
  // (scale - 32) * (step - 4) + 127, where `four` is 4 * (scale - 32); sums of bytes do not carry.
  return _mm512_add_epi8(times, _mm512_sub_epi8(_mm512_set1_epi32(0x1f3f5f7f), four));
}

template <class L>
struct TwoBitGemm {
  template <int C, bool kFetch>
  static void pass(const GemmArgs& a, std::int64_t g) {
    constexpr int kSums = C == 1 ? 4 : C == 2 ? 2 : 1;  // of a column: additions wait for the one before
    const ActivationTile& x = *a.tile;
    const std::int64_t k = x.k, stride = L::group_bytes(k);
    const std::byte* group = a.groups + g * stride;
    alignas(64) float totals[C][kGroupRows] = {};
    for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
      if constexpr (kFetch) fetch_next_group(group, stride, b, k / L::kBlock);
      __m512i acc[kSums][C];
      for (int i = 0; i < kSums; ++i)
        for (int c = 0; c < C; ++c)
          acc[i][c] = L::kThird && i == 0 ? broadcast(x.starts[1] + b * C + c) : _mm512_setzero_si512();
      const std::byte* table = group + L::scale_offset(k) + b * L::kScaleBytes;
#pragma GCC unroll 1
      for (int half = 0; half < 2; ++half)
        multiply_half<C, kSums>(acc, group + b * L::kStepBytes + half * 512,
                                group + L::third_offset(k) + b * L::kThirdBytes, table, half,
                                x.steps + (b * 64 + half * 32) * C);
      for (int i = 1; i < kSums; ++i)
        for (int c = 0; c < C; ++c) acc[0][c] = _mm512_add_epi32(acc[0][c], acc[i][c]);
      const __m512 d = load_halves(group + L::d_offset(k) + b * 32);
      __m512 sum[C];
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c) sum[c] = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[0][c]), d);
      if constexpr (L::kMinima)
        subtract_minima<C>(sum, load_halves(group + L::dmin_offset(k) + b * 32), table,
                           x.run_pairs + b * 8 * C);
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c) add_scaled(totals[c], sum[c], x.scales + b * C + c);
    }
    store_totals<C>(a, g, totals);
  }

  template <int C, int kSums>
  [[gnu::always_inline]] static void multiply_half(__m512i (&acc)[kSums][C], const std::byte* steps,
                                                   const std::byte* third, const std::byte* table, int half,
                                                   const std::int32_t* words) {
    const __m512i step_mask = _mm512_set1_epi8(3);
#pragma GCC unroll 2
    for (int part = 0; part < 2; ++part) {
      __m512i low[4], bits[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        low[i] = load(steps + 64 * (part * 4 + i));
        if constexpr (L::kThird) bits[i] = load(third + 64 * (part * 4 + i));
      }
#pragma GCC unroll 4
      for (int quarter = 0; quarter < 4; ++quarter) {  // sub-block 8 * half + 2 * quarter + part
        const __m512i scales = four_scales<L>(table, 2 * half + quarter / 2);
        const int byte = quarter % 2 * 2 + part;
        __m512i four = _mm512_setzero_si512();
        if constexpr (L::kThird)
          four = _mm512_shuffle_epi8(
              _mm512_xor_si512(_mm512_slli_epi16(scales, 2), _mm512_set1_epi8(-128)),
              _mm512_or_si512(first_of_rows(), _mm512_set1_epi8(static_cast<char>(byte))));
        const __m512i product = products<L>(scales, byte, four);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          const __m512i moved = _mm512_srli_epi16(low[i], static_cast<unsigned>(2 * quarter));
          __m512i weight = _mm512_shuffle_epi8(
              product, _mm512_ternarylogic_epi32(first_of_rows(), moved, step_mask, 0xf8));
          if constexpr (L::kThird) {
            const __m512i bit = _mm512_set1_epi8(static_cast<char>(1U << (4 * half + quarter)));
            weight = _mm512_mask_add_epi8(weight, _mm512_test_epi8_mask(bits[i], bit), weight, four);
          }
          multiply<C>(acc[i % kSums], weight, words + (quarter * 8 + part * 4 + i) * C);
        }
      }
    }
  }

  /// sum -= dmin * (16 minima times the sums of the 16 runs, exact in int32).
  template <int C>
  [[gnu::always_inline]] static void subtract_minima(__m512 (&sum)[C], __m512 dmin, const std::byte* table,
                                                     const std::int32_t* pairs) {
    const __m512i mask = _mm512_set1_epi16(15);
    __m512i acc[C];
    for (int c = 0; c < C; ++c) acc[c] = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int w = 0; w < 4; ++w) {
      const __m512i bytes = load(table + 64 * w);
      const __m512i even = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), mask);
      const __m512i odd = _mm512_srli_epi16(bytes, 12);
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c) {
        acc[c] = _mm512_dpwssd_epi32(acc[c], even, broadcast(pairs + 2 * w * C + c));
        acc[c] = _mm512_dpwssd_epi32(acc[c], odd, broadcast(pairs + (2 * w + 1) * C + c));
      }
    }
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c) sum[c] = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(acc[c]), dmin, sum[c]);
  }
};

}  // namespace deepwell::avx512
DW_ISA_END
