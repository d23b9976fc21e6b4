// SPDX-License-Identifier: Apache-2.0
// 4-bit steps with a zero point: the steps as in gemm_int8.h, less each zero times the sum of the
// activations' steps, of which a tile's starts are -8 times.
#include "engine/kernels/avx2/gemm_int8.h"
#include "engine/quant/i4_zero.h"

DW_AVX2_BEGIN
namespace deepwell {
namespace {

template <int N>
void i4_zero_rows(const GemmArgs& a, std::int64_t g, int half, int column) {
  const ActivationTile& x = *a.tile;
  const std::int64_t k = x.k;
  const int width = x.width;
  const std::byte* group = a.groups + g * I4Zero::group_bytes(k);
  const std::byte* steps = group + 32 * half;
  const std::byte* scales = group + I4Zero::scale_offset(k) + 16 * half;
  const std::byte* zeros_at = group + I4Zero::zero_offset(k) + 8 * half;
  const __m256i low_mask = _mm256_set1_epi8(15);
  __m256 sum[N];
  for (int c = 0; c < N; ++c) sum[c] = _mm256_setzero_ps();
  const bool fetch = a.from_memory && half == 0 && column == 0;
  for (std::int64_t b = 0; b < k / I4Zero::kBlock; ++b) {
    if (fetch) fetch_next_group(group, I4Zero::group_bytes(k), b, k / I4Zero::kBlock);
    const std::int32_t* words = x.steps + b * 8 * width + column;
    const __m256i zeros = avx2::load_bytes_as_words(zeros_at + b * kGroupRows);
    __m256i acc[N], sums16[N];
#pragma GCC unroll 4
    for (int c = 0; c < N; ++c)
      acc[c] = _mm256_madd_epi16(zeros, _mm256_set1_epi32(x.starts[0][b * width + column + c] / 8));
    avx2::clear(sums16);
#pragma GCC unroll 4
    for (int w = 0; w < 4; ++w) {
      const __m256i pair = avx2::load(steps + b * I4Zero::kStepBytes + 64 * w);
      avx2::multiply<N>(sums16, _mm256_and_si256(pair, low_mask), words + w * width);
      avx2::multiply<N>(sums16, _mm256_and_si256(_mm256_srli_epi16(pair, 4), low_mask),
                        words + (w + 4) * width);
    }
    avx2::flush(acc, sums16);
    const __m256 scale = avx2::load_halves(scales + b * 32);
#pragma GCC unroll 4
    for (int c = 0; c < N; ++c) {
      const __m256 both = _mm256_mul_ps(scale, _mm256_set1_ps(x.scales[b * width + column + c]));
      sum[c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[c]), both, sum[c]);
    }
  }
  avx2::store_columns<N>(a, g * kGroupRows + 8 * half, column, sum);
}

#define ROWS(N) i4_zero_rows<N>
void run(const GemmArgs& a) { DW_GEMM_COLUMNS(ROWS) }
#undef ROWS

}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx2_gemm_i4_zero() {
  return {"gemm_i4_zero", Isa::kAvx2, reinterpret_cast<Kernel::AnyFn>(run)};
}
}  // namespace deepwell
