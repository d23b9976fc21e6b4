// SPDX-License-Identifier: Apache-2.0
// 4-bit steps with a zero point: a tile's starts for steps less 8 are -8 times the sums of its steps, so that
// the zeros times them and 8 times each step make 8 * (step - zero) in exact integers.
#include "engine/kernels/avx512/gemm_int8.h"
#include "engine/quant/i4_zero.h"

DW_AVX512_BEGIN
namespace deepwell {
namespace {

struct I4ZeroGemm {
  template <int C, bool kFetch>
  static void pass(const GemmArgs& a, std::int64_t g) {
    const ActivationTile& x = *a.tile;
    const std::int64_t k = x.k, stride = I4Zero::group_bytes(k);
    const std::byte* group = a.groups + g * stride;
    const __m512i step_mask = _mm512_set1_epi8(15 << 3);
    const __m512 eighth = _mm512_set1_ps(0.125F);
    __m512 sum[C];
    for (int c = 0; c < C; ++c) sum[c] = _mm512_setzero_ps();
    for (std::int64_t b = 0; b < k / I4Zero::kBlock; ++b) {
      if constexpr (kFetch) fetch_next_group(group, stride, b, k / I4Zero::kBlock);
      const std::int32_t* words = x.steps + b * 8 * C;
      const __m512i zeros = _mm512_cvtepu8_epi32(
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(group + I4Zero::zero_offset(k) + b * kGroupRows)));
      __m512i acc[C];
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c)  // -8 * 32 * 127 is an int16 still
        acc[c] = _mm512_madd_epi16(zeros, avx512::broadcast(x.starts[0] + b * C + c));
#pragma GCC unroll 4
      for (int w = 0; w < 4; ++w) {
        const __m512i pair = avx512::load(group + b * I4Zero::kStepBytes + 64 * w);
        const __m512i low = _mm512_and_si512(_mm512_slli_epi16(pair, 3), step_mask);
        const __m512i upper = _mm512_and_si512(_mm512_srli_epi16(pair, 1), step_mask);
        avx512::multiply<C>(acc, low, words + w * C);
        avx512::multiply<C>(acc, upper, words + (w + 4) * C);
      }
      const __m512 scale =
          _mm512_mul_ps(avx512::load_halves(group + I4Zero::scale_offset(k) + b * 32), eighth);
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c)
        sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[c]),
                                 _mm512_mul_ps(scale, avx512::broadcast(x.scales + b * C + c)), sum[c]);
    }
    avx512::store_columns<C>(a, g, sum);
  }
};

void run(const GemmArgs& a) { avx512::run_gemm<I4ZeroGemm>(a); }

}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_gemm_i4_zero() {
  return {"gemm_i4_zero", Isa::kAvx512, reinterpret_cast<Kernel::AnyFn>(run)};
}
}  // namespace deepwell
