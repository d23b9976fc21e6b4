// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kernels/avx2/vec.h"

DW_AVX2_BEGIN
namespace deepwell::avx2 {

inline __m256i quantize_eight(const float* x, __m256 factor) {
  const __m256 scaled = _mm256_mul_ps(_mm256_loadu_ps(x), factor);
  const __m256 numbers = _mm256_and_ps(scaled, _mm256_cmp_ps(scaled, scaled, _CMP_ORD_Q));
  return _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(numbers, _mm256_set1_ps(-128)), _mm256_set1_ps(127)));
}

/// As quantize_reference(): what is not a number becomes 0, so that sums stay small whatever the model holds.
inline void quantize_run(const float* x, float inverse, std::int8_t* steps, int* sums) {
  const __m256 factor = _mm256_set1_ps(inverse);
  for (int h = 0; h < 2; ++h) {
    const __m256i a = quantize_eight(x + 16 * h, factor), b = quantize_eight(x + 16 * h + 8, factor);
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
    const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_store_si128(reinterpret_cast<__m128i*>(steps + 16 * h), bytes);
    const __m256i both = _mm256_add_epi32(a, b);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    sums[h] = _mm_cvtsi128_si32(sum);
  }
}

inline float round_to_half(float value) { return _cvtsh_ss(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT)); }

}  // namespace deepwell::avx2
DW_ISA_END
