// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kernels/avx512/vec.h"

// What the kernels that multiply bfloat16 do with 32 of them.
DW_AVX512_BF16_BEGIN
namespace deepwell::avx512 {

inline __m512bh bfloats_at(const std::uint16_t* from) {
  return reinterpret_cast<__m512bh>(_mm512_loadu_si512(from));
}
/// One pair for every lane.
inline __m512bh pair_everywhere(std::int32_t pair) {
  return reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
}
/// low's 16, then high's.
inline __m512i to_bfloats(Vec low, Vec high) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high.v, low.v));
}
/// `count` floats, and zeros up to a whole 32; `from` is readable up to a whole 16.
inline void round_floats(const float* from, int count, std::uint16_t* to) {
  for (int i = 0; i < count; i += 32) {
    const Vec high = i + 16 < count ? Vec::load(from + i + 16) : Vec::set(0);
    _mm512_storeu_si512(to + i, to_bfloats(Vec::load(from + i), high));
  }
}

}  // namespace deepwell::avx512
DW_ISA_END
