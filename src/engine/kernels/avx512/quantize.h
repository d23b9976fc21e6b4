// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kernels/avx512/vec.h"

DW_AVX512_BEGIN
namespace deepwell::avx512 {

inline void quantize_run(const float* x, float inverse, std::int8_t* steps, int* sums) {
  for (int h = 0; h < 2; ++h) {
    const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 16 * h), _mm512_set1_ps(inverse)));
    _mm_store_si128(reinterpret_cast<__m128i*>(steps + 16 * h), _mm512_cvtsepi32_epi8(q));
    sums[h] = _mm512_reduce_add_epi32(q);
  }
}

inline float round_to_half(float value) { return _cvtsh_ss(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT)); }

}  // namespace deepwell::avx512
DW_ISA_END
