// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kernels/avx512/vec.h"

DW_AVX512_BEGIN
namespace deepwell::avx512 {

/// As quantize_reference(): what is not a number becomes 0, so that sums stay small whatever the model holds.
inline void quantize_run(const float* x, float inverse, std::int8_t* steps, int* sums) {
  const __m512 low = _mm512_set1_ps(-128), high = _mm512_set1_ps(127);
  for (int h = 0; h < 2; ++h) {
    const __m512 scaled = _mm512_mul_ps(_mm512_loadu_ps(x + 16 * h), _mm512_set1_ps(inverse));
    const __mmask16 numbers = _mm512_cmp_ps_mask(scaled, scaled, _CMP_ORD_Q);
    const __m512i q = _mm512_maskz_cvtps_epi32(numbers, _mm512_min_ps(_mm512_max_ps(scaled, low), high));
    _mm_store_si128(reinterpret_cast<__m128i*>(steps + 16 * h), _mm512_cvtsepi32_epi8(q));
    sums[h] = _mm512_reduce_add_epi32(q);
  }
}

inline float round_to_half(float value) { return _cvtsh_ss(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT)); }

}  // namespace deepwell::avx512
DW_ISA_END
