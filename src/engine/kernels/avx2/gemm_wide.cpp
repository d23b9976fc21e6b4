// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/avx2/gemm_int8.h"
#include "engine/quant/wide_rows.h"

DW_AVX2_BEGIN
namespace deepwell {
namespace avx2 {

/// 8 rows and N columns. Two products of a widened step fit in int16 (126 * 127 * 2 = 32004), no more.
template <Wide kForm, int N>
void wide_rows(const GemmArgs& a, std::int64_t g, int half, int column) {
  constexpr int kRun = WideRows::run(kForm);
  const ActivationTile& x = *a.tile;
  const int width = x.width;
  const std::byte* block = a.groups + g * WideRows::group_bytes(kForm, x.k) + 32 * half;
  __m256 total[N];
  for (int c = 0; c < N; ++c) total[c] = _mm256_setzero_ps();
  for (std::int64_t b = 0; b < x.k / WideRows::kBlock; ++b, block += WideRows::block_bytes(kForm)) {
    __m256 sum[N];
    for (int c = 0; c < N; ++c) sum[c] = _mm256_setzero_ps();
    for (int s = 0; s < WideRows::kBlock / kRun; ++s) {
      // Steps are 64 too large, twice what a start of 16 of them makes good.
      const std::int32_t* starts = x.starts[0] + (b * 16 + s * (kRun / 16)) * width + column;
      __m256i acc[N];
#pragma GCC unroll 4
      for (int c = 0; c < N; ++c)
        acc[c] = _mm256_set1_epi32(2 * (starts[c] + (kRun == 32 ? starts[width + c] : 0)));
      const std::int32_t* words = x.steps + (b * 64 + s * (kRun / 4)) * width + column;
#pragma GCC unroll 8
      for (int w = 0; w < kRun / 4; ++w) {
        const __m256i step = load(block + s * kRun * kGroupRows + 64 * w);
#pragma GCC unroll 4
        for (int c = 0; c < N; ++c) {
          acc[c] = _mm256_add_epi32(
              acc[c], widen(_mm256_maddubs_epi16(step, _mm256_set1_epi32(words[w * width + c]))));
          keep_order(acc[c]);
        }
      }
      const auto* table = reinterpret_cast<const float*>(block + WideRows::kStepBytes + 64 * s);
      const __m256 scale = _mm256_loadu_ps(table);
#pragma GCC unroll 4
      for (int c = 0; c < N; ++c) sum[c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[c]), scale, sum[c]);
    }
#pragma GCC unroll 4
    for (int c = 0; c < N; ++c)
      total[c] = _mm256_fmadd_ps(sum[c], _mm256_set1_ps(x.scales[b * width + column + c]), total[c]);
  }
  store_columns<N>(a, g * kGroupRows + 8 * half, column, total);
}

template <Wide kForm>
void run_form(const GemmArgs& a) {
#define DW_ROWS(N) wide_rows<kForm, N>
  DW_GEMM_COLUMNS(DW_ROWS)
#undef DW_ROWS
}

}  // namespace avx2
namespace {
void run(const GemmArgs& a) {
  switch (a.format->wide) {
    case Wide::kRuns16:
      return avx2::run_form<Wide::kRuns16>(a);
    case Wide::kRuns32:
      return avx2::run_form<Wide::kRuns32>(a);
    case Wide::kNone:
      DW_CHECK(false);
  }
}
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx2_gemm_wide() { return kernel_of<GemmWide>(Isa::kAvx2, run); }
}  // namespace deepwell
