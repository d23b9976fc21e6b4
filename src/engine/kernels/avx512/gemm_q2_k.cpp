// SPDX-License-Identifier: Apache-2.0
// Q2_K: the block is described in quant/q2_k.cpp.
#include "engine/kernels/avx512/row_gemm.h"

DW_AVX512_BEGIN
namespace deepwell {
namespace {
using namespace avx512;

struct Row {
  static constexpr std::int64_t kBytes = 84;
  static constexpr Wide kForm = Wide::kRuns16Minima;

  template <int kShift>
  static __m512i dot(__m512i steps, __m512i y) {
    const __m512i moved = _mm512_and_si512(_mm512_srli_epi16(steps, kShift), _mm512_set1_epi8(3));
    return _mm512_dpbusd_epi32(_mm512_setzero_si512(), moved, y);
  }
  static __m512 times(__m512 d, __m128i bytes) {
    return _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)));
  }
  [[gnu::always_inline]] static RowBlock row(const std::byte* block, const __m512i (&x)[4], __m512i start) {
    (void)start;
    const __m512i steps = load(block + 16);
    const __m512i sums = fold_halves(dot<2 * 0>(steps, halves<0>(x, 0)), dot<2 * 1>(steps, halves<1>(x, 0)),
                                     dot<2 * 2>(steps, halves<0>(x, 1)), dot<2 * 3>(steps, halves<1>(x, 1)));
    const __m128i both = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block));
    const __m128i low = _mm_and_si128(both, _mm_set1_epi8(15));
    const __m128i high = _mm_and_si128(_mm_srli_epi16(both, 4), _mm_set1_epi8(15));
    return {sums, times(half_everywhere(block + 80), low),
            _mm512_mul_ps(times(half_everywhere(block + 82), high), _mm512_set1_ps(1.0F / 32))};
  }
};

void run(const GemmArgs& a) { run_rows<Row>(a); }
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_gemm_q2_k() { return {"gemm_q2_k", Isa::kAvx512, reinterpret_cast<Kernel::AnyFn>(run)}; }
}  // namespace deepwell
