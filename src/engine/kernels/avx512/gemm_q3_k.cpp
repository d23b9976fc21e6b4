// SPDX-License-Identifier: Apache-2.0
// Q3_K: the block is described in quant/q3_k.cpp.
#include "engine/kernels/avx512/row_gemm.h"

DW_AVX512_BEGIN
namespace deepwell {
namespace {
using namespace avx512;

struct Row {
  static constexpr std::int64_t kBytes = 110;
  static constexpr Wide kForm = Wide::kRuns16;

  template <int kPart>
  static __m512i dot(__m512i steps, __m512i third, __m512i y) {
    const __m512i low = _mm512_and_si512(_mm512_srli_epi16(steps, 2 * kPart), _mm512_set1_epi8(3));
    const __m512i high = _mm512_and_si512(_mm512_srli_epi16(third, kPart), _mm512_set1_epi8(1));
    return _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_or_si512(low, _mm512_slli_epi16(high, 2)), y);
  }
  [[gnu::always_inline]] static RowBlock row(const std::byte* block, const __m512i (&x)[4], __m512i start) {
    const __m512i steps = load(block + 32);
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block));
    // The upper half's third bits are four places further up.
    const __m512i third = _mm512_inserti64x4(_mm512_castsi256_si512(bits), _mm256_srli_epi16(bits, 4), 1);
    const __m512i sums =
        fold_halves(dot<0>(steps, third, halves<0>(x, 0)), dot<1>(steps, third, halves<1>(x, 0)),
                    dot<2>(steps, third, halves<0>(x, 1)), dot<3>(steps, third, halves<1>(x, 1)));
    const __m128i table = _mm_cvtsi64_si128(load_as<long long>(block + 96));
    const __m128i low = _mm_and_si128(_mm_unpacklo_epi64(table, _mm_srli_epi16(table, 4)), _mm_set1_epi8(15));
    const __m128i pairs =
        _mm_srlv_epi32(_mm_set1_epi32(load_as<int>(block + 104)), _mm_setr_epi32(0, 2, 4, 6));
    const __m128i high = _mm_slli_epi16(_mm_and_si128(pairs, _mm_set1_epi8(3)), 4);
    const __m128i scales = _mm_sub_epi8(_mm_or_si128(low, high), _mm_set1_epi8(32));
    return {_mm512_add_epi32(sums, _mm512_srai_epi32(start, 3)),  // a step is 4 too large
            _mm512_mul_ps(half_everywhere(block + 108), _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(scales))),
            _mm512_setzero_ps()};
  }
};

void run(const GemmArgs& a) { run_rows<Row>(a); }
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_gemm_q3_k() { return {"gemm_q3_k", Isa::kAvx512, reinterpret_cast<Kernel::AnyFn>(run)}; }
}  // namespace deepwell
