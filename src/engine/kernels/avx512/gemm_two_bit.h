// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kernels/avx512/gemm_int8.h"
#include "engine/quant/two_bit_planes.h"

// Q2_K and Q3_K: a step times its sub-block's scale fits in a byte, so one integer sum runs over a whole
// block and no sub-block is converted to floats. Two ways to that sum, which is exact: Many columns: vpshufb
// looks the products up. A 128-bit lane holds 4 rows, its table the products of each with steps 0 to 3; a
// third bit adds 4 times the scale. Products of Q3_K, -124 to 128, are taken as 127 more, which a tile's
// starts[1] take off again. Few columns: less to unpack counts for more. Steps are multiplied as they lie,
// every second quarter's as 4 times themselves, which saves its shift, and a sub-block's sum is multiplied by
// its scale.

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

/// Scales with their signs of sub-blocks 4w + part and 4w + 2 + part: int16 in the order of a tile's
/// run_pairs.
template <class L>
[[gnu::always_inline]] inline __m512i scale_pair(const std::byte* table, int w, int part) {
  const __m512i scales = four_scales<L>(table, w);
  const __m512i two =
      part == 0 ? _mm512_and_si512(scales, _mm512_set1_epi16(255)) : _mm512_srli_epi16(scales, 8);
  return L::kThird ? _mm512_sub_epi16(two, _mm512_set1_epi16(32)) : two;
}

/// Likewise what the sums of runs are multiplied by to come off: minima, or scales, whose steps are 4 too
/// large.
template <class L>
[[gnu::always_inline]] inline __m512i offset_pair(const std::byte* table, int w, int part) {
  if constexpr (L::kThird) {
    return scale_pair<L>(table, w, part);
  } else {
    const __m512i bytes = load(table + 64 * w);
    return part == 0 ? _mm512_and_si512(_mm512_srli_epi16(bytes, 4), _mm512_set1_epi16(15))
                     : _mm512_srli_epi16(bytes, 12);
  }
}

template <class L>
struct TwoBitGemm {
  template <int C, bool kFetch>
  static void pass(const GemmArgs& a, std::int64_t g) {
    constexpr bool kFew = C <= 4;
    const ActivationTile& x = *a.tile;
    const std::int64_t k = x.k, stride = L::group_bytes(k);
    const std::byte* group = a.groups + g * stride;
    alignas(64) float totals[C][kGroupRows] = {};
    for (std::int64_t b = 0; b < k / L::kBlock; ++b) {
      if constexpr (kFetch) fetch_next_group(group, stride, b, k / L::kBlock);
      const std::byte* table = group + L::scale_offset(k) + b * L::kScaleBytes;
      __m512i acc[C], fourfold[C];
      for (int c = 0; c < C; ++c) {
        acc[c] = L::kThird && !kFew ? broadcast(x.starts[1] + b * C + c) : _mm512_setzero_si512();
        fourfold[c] = _mm512_setzero_si512();
      }
#pragma GCC unroll 1
      for (int half = 0; half < 2; ++half) {
        const std::byte* steps = group + b * L::kStepBytes + half * 512;
        const std::byte* third = group + L::third_offset(k) + b * L::kThirdBytes;
        const std::int32_t* words = x.steps + (b * 64 + half * 32) * C;
        if constexpr (kFew)
          multiply_few<C>(acc, fourfold, steps, third, table, half, words);
        else
          multiply_many<C>(acc, steps, third, table, half, words);
      }
      __m512i offsets[C];
      if constexpr (L::kMinima || kFew) offset_sums<C>(offsets, table, x.run_pairs + b * 8 * C);
      const __m512 d = load_halves(group + L::d_offset(k) + b * 32);
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c) {
        if constexpr (kFew) acc[c] = _mm512_add_epi32(acc[c], _mm512_srai_epi32(fourfold[c], 2));
        if constexpr (kFew && L::kThird) acc[c] = _mm512_sub_epi32(acc[c], _mm512_slli_epi32(offsets[c], 2));
        __m512 sum = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[c]), d);
        if constexpr (L::kMinima) {
          const __m512 dmin = load_halves(group + L::dmin_offset(k) + b * 32);
          sum = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(offsets[c]), dmin, sum);
        }
        add_scaled(totals[c], sum, x.scales + b * C + c);
      }
    }
    store_totals<C>(a, g, totals);
  }

  /// Adds the products of half a block.
  template <int C>
  [[gnu::always_inline]] static void multiply_many(__m512i (&acc)[C], const std::byte* steps,
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
          if constexpr (L::kThird)
            weight = _mm512_mask_add_epi8(weight, third_bits(bits[i], 4 * half + quarter), weight, four);
          multiply<C>(acc, weight, words + (quarter * 8 + part * 4 + i) * C);
        }
      }
    }
  }

  /// Adds the products of half a block's quarters 0 and 2 to `acc`, 4 times those of 1 and 3 to `fourfold`.
  template <int C>
  [[gnu::always_inline]] static void multiply_few(__m512i (&acc)[C], __m512i (&fourfold)[C],
                                                  const std::byte* steps, const std::byte* third,
                                                  const std::byte* table, int half,
                                                  const std::int32_t* words) {
#pragma GCC unroll 2
    for (int part = 0; part < 2; ++part) {
#pragma GCC unroll 2
      for (int pair = 0; pair < 2; ++pair) {  // of quarters
        __m512i even[C], odd[C];
        for (int c = 0; c < C; ++c) even[c] = odd[c] = _mm512_setzero_si512();
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          const __m512i lie = load(steps + 64 * (part * 4 + i));
          const __m512i moved = pair == 0 ? lie : _mm512_srli_epi16(lie, 4);
          __m512i low = _mm512_and_si512(moved, _mm512_set1_epi8(3));
          __m512i high = _mm512_and_si512(moved, _mm512_set1_epi8(12));
          if constexpr (L::kThird) {
            const __m512i bits = load(third + 64 * (part * 4 + i));
            const int bit = 4 * half + 2 * pair;
            low = _mm512_mask_add_epi8(low, third_bits(bits, bit), low, _mm512_set1_epi8(4));
            high = _mm512_mask_add_epi8(high, third_bits(bits, bit + 1), high, _mm512_set1_epi8(16));
          }
          multiply<C>(even, low, words + (16 * pair + part * 4 + i) * C);
          multiply<C>(odd, high, words + (16 * pair + 8 + part * 4 + i) * C);
        }
        const __m512i scales = scale_pair<L>(table, 2 * half + pair, part);
        const __m512i even_scale = _mm512_and_si512(scales, _mm512_set1_epi32(0xffff));
        const __m512i odd_scale = _mm512_srai_epi32(scales, 16);
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) {
          // Sums of 16 products with steps below 16 fit in int16, those of 4 times 3 bits do not.
          acc[c] = _mm512_dpwssd_epi32(acc[c], even[c], even_scale);
          fourfold[c] = L::kThird ? _mm512_add_epi32(fourfold[c], _mm512_mullo_epi32(odd[c], odd_scale))
                                  : _mm512_dpwssd_epi32(fourfold[c], odd[c], odd_scale);
        }
      }
    }
  }

  [[gnu::always_inline]] static __mmask64 third_bits(__m512i bits, int bit) {
    return _mm512_test_epi8_mask(bits, _mm512_set1_epi8(static_cast<char>(1U << bit)));
  }

  /// Sums of 16 steps times what comes off for them, exact in int32.
  template <int C>
  [[gnu::always_inline]] static void offset_sums(__m512i (&sums)[C], const std::byte* table,
                                                 const std::int32_t* pairs) {
    for (int c = 0; c < C; ++c) sums[c] = _mm512_setzero_si512();
#pragma GCC unroll 8
    for (int p = 0; p < 8; ++p) {
      const __m512i offsets = offset_pair<L>(table, p / 2, p % 2);
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c)
        sums[c] = _mm512_dpwssd_epi32(sums[c], offsets, broadcast(pairs + p * C + c));
    }
  }
};

}  // namespace deepwell::avx512
DW_ISA_END
