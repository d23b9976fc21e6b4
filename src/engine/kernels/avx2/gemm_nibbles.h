// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "engine/kernels/avx2/gemm_int8.h"
#include "engine/quant/nibbles.h"

// Codes of a table of 16 levels, which vpshufb turns into signed levels; their magnitudes are multiplied by
// activations that take on their signs, as gemm_int8.h does for 8-bit steps. The levels of E2M1 leave room to
// add a whole run in int16 (12*127*2*8 = 24384), those of IQ4 for one product only (127*127*2 = 32258).

namespace deepwell::avx2 {
constexpr int largest_magnitude(const CodeTable& table) {
  int largest = 0;
  for (const int level : table) largest = std::max(largest, level < 0 ? -level : level);
  return largest;
}
}  // namespace deepwell::avx2

DW_AVX2_BEGIN
namespace deepwell::avx2 {

inline __m256i load_shorts_as_words(const std::byte* from) {
  return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

/// The scales of one run of half a group (8 rows), from the packed heads of its block.
inline __m256 run_scales(Iq4NlCodec, const std::byte* heads, int half, int) {
  return load_halves(heads + 16 * half);
}
inline __m256 run_scales(Mxfp4Codec, const std::byte* heads, int half, int) {
  const __m256i e = load_bytes_as_words(heads + 8 * half);
  const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
  const __m256i tiny = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);
  const __m256i is_tiny = _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e);
  return _mm256_castsi256_ps(_mm256_blendv_epi8(normal, tiny, is_tiny));
}
inline __m256 run_scales(Iq4XsCodec, const std::byte* heads, int half, int run) {
  const __m256i low = _mm256_srl_epi32(load_shorts_as_words(heads + 64 + run / 4 * 32 + 16 * half),
                                       _mm_cvtsi32_si128(run % 4 * 4));
  const __m256i high =
      _mm256_srl_epi32(load_shorts_as_words(heads + 32 + 16 * half), _mm_cvtsi32_si128(2 * run));
  const __m256i scale = _mm256_or_si256(_mm256_and_si256(low, _mm256_set1_epi32(15)),
                                        _mm256_slli_epi32(_mm256_and_si256(high, _mm256_set1_epi32(3)), 4));
  return _mm256_mul_ps(load_halves(heads + 16 * half),
                       _mm256_cvtepi32_ps(_mm256_sub_epi32(scale, _mm256_set1_epi32(32))));
}

template <class Codec, int N>
void nibbles_rows(const GemmArgs& a, std::int64_t g, int half, int column) {
  using L = Nibbles<Codec>;
  static_assert(L::kRun == 32);
  // Small levels are made unsigned, which the tile's starts for 5-bit steps take off again, and four of their
  // sums fit int16; of large ones the signs go to the activations.
  constexpr int kOffset = (largest_magnitude(Codec::kTable) + 16) * 127 * 2 * 4 <= 32767 ? 16 : 0;
  const ActivationTile& x = *a.tile;
  const std::int64_t k = x.k;
  const int width = x.width;
  const std::byte* group = a.groups + g * L::group_bytes(k);
  const std::byte* heads = group + L::head_offset(k);
  const __m256i low_mask = _mm256_set1_epi8(15);
  const __m256i levels = _mm256_add_epi8(
      _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(Codec::kTable.data()))),
      _mm256_set1_epi8(kOffset));
  __m256 sum[N];
  for (int c = 0; c < N; ++c) sum[c] = _mm256_setzero_ps();
  const bool fetch = a.from_memory && half == 0 && column == 0;
  for (std::int64_t b = 0; b < k / L::kRun; ++b) {
    if (fetch) fetch_next_group(group, L::group_bytes(k), b, k / L::kRun);
    const std::int32_t* words = x.steps + b * 8 * width + column;
    __m256i acc[N], sums16[N];
#pragma GCC unroll 4
    for (int c = 0; c < N; ++c)
      acc[c] = kOffset == 0 ? _mm256_setzero_si256() : _mm256_set1_epi32(x.starts[1][b * width + column + c]);
    clear(sums16);
#pragma GCC unroll 4
    for (int w = 0; w < 4; ++w) {
      const __m256i pair = load(group + b * L::kRunBytes + 64 * w + 32 * half);
#pragma GCC unroll 2
      for (int upper = 0; upper < 2; ++upper) {
        const __m256i codes = _mm256_and_si256(upper == 0 ? pair : _mm256_srli_epi16(pair, 4), low_mask);
        const __m256i level = _mm256_shuffle_epi8(levels, codes);
        if constexpr (kOffset != 0)
          multiply<N>(sums16, level, words + (w + 4 * upper) * width);
        else
          multiply_signed<N>(acc, level, words + (w + 4 * upper) * width);
      }
      if (kOffset != 0 && w % 2 == 1) flush(acc, sums16);
    }
    const __m256 scale =
        run_scales(Codec{}, heads + b / L::kRuns * L::kHeads, half, static_cast<int>(b % L::kRuns));
#pragma GCC unroll 4
    for (int c = 0; c < N; ++c) {
      const __m256 both = _mm256_mul_ps(scale, _mm256_set1_ps(x.scales[b * width + column + c]));
      sum[c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[c]), both, sum[c]);
    }
  }
  store_columns<N>(a, g * kGroupRows + 8 * half, column, sum);
}

}  // namespace deepwell::avx2
DW_ISA_END
