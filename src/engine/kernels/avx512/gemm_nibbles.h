// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kernels/avx512/gemm_int8.h"
#include "engine/quant/nibbles.h"

// Codes of a table of 16 levels: vpshufb turns nibbles into levels + 128, which are unsigned as vpdpbusd
// wants them; the tile's starts for 8-bit steps take the 128 off again. The rest is gemm_int8.h's
// LegacyGemm.

DW_AVX512_BEGIN
namespace deepwell::avx512 {

inline __m512i load_shorts_as_words(const std::byte* from) {
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

/// The scales of one run of 16 rows, from the packed heads of its block.
inline __m512 run_scales(Iq4NlCodec, const std::byte* heads, int) { return load_halves(heads); }
inline __m512 run_scales(Mxfp4Codec, const std::byte* heads, int) {
  const __m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(heads)));
  const __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
  const __mmask16 tiny = _mm512_cmplt_epu32_mask(e, _mm512_set1_epi32(2));
  return _mm512_castsi512_ps(_mm512_mask_sllv_epi32(normal, tiny, _mm512_set1_epi32(0x00200000), e));
}
inline __m512 run_scales(Iq4XsCodec, const std::byte* heads, int run) {
  const __m512i low =
      _mm512_srl_epi32(load_shorts_as_words(heads + 64 + run / 4 * 32), _mm_cvtsi32_si128(run % 4 * 4));
  const __m512i high = _mm512_srl_epi32(load_shorts_as_words(heads + 32), _mm_cvtsi32_si128(2 * run));
  const __m512i scale = _mm512_or_si512(_mm512_and_si512(low, _mm512_set1_epi32(15)),
                                        _mm512_slli_epi32(_mm512_and_si512(high, _mm512_set1_epi32(3)), 4));
  return _mm512_mul_ps(load_halves(heads),
                       _mm512_cvtepi32_ps(_mm512_sub_epi32(scale, _mm512_set1_epi32(32))));
}

template <class Codec>
struct NibblesGemm {
  using L = Nibbles<Codec>;
  static_assert(L::kRun == 32);

  template <int C, bool kFetch>
  static void pass(const GemmArgs& a, std::int64_t g) {
    const ActivationTile& x = *a.tile;
    const std::int64_t k = x.k, stride = L::group_bytes(k);
    const std::byte* group = a.groups + g * stride;
    const __m512i low_mask = _mm512_set1_epi8(15);
    const __m512i levels = _mm512_xor_si512(
        _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(Codec::kTable.data()))),
        _mm512_set1_epi8(-128));
    __m512 sum[C];
    for (int c = 0; c < C; ++c) sum[c] = _mm512_setzero_ps();
    for (std::int64_t b = 0; b < k / L::kRun; ++b) {
      if constexpr (kFetch) fetch_next_group(group, stride, b, k / L::kRun);
      const std::int32_t* words = x.steps + b * 8 * C;
      __m512i acc[C];
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c) acc[c] = broadcast(x.starts[2] + b * C + c);
#pragma GCC unroll 4
      for (int w = 0; w < 4; ++w) {
        const __m512i pair = load(group + b * L::kRunBytes + 64 * w);
        const __m512i low = _mm512_and_si512(pair, low_mask);
        const __m512i upper = _mm512_and_si512(_mm512_srli_epi16(pair, 4), low_mask);
        multiply<C>(acc, _mm512_shuffle_epi8(levels, low), words + w * C);
        multiply<C>(acc, _mm512_shuffle_epi8(levels, upper), words + (w + 4) * C);
      }
      const std::byte* heads = group + L::head_offset(k) + b / L::kRuns * L::kHeads;
      const __m512 scale = run_scales(Codec{}, heads, static_cast<int>(b % L::kRuns));
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c)
        sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[c]),
                                 _mm512_mul_ps(scale, broadcast(x.scales + b * C + c)), sum[c]);
    }
    store_columns<C>(a, g, sum);
  }
};

}  // namespace deepwell::avx512
DW_ISA_END
