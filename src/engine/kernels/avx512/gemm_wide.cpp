// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/avx512/gemm_int8.h"
#include "engine/quant/wide_rows.h"

DW_AVX512_BEGIN
namespace deepwell {
namespace avx512 {

inline __m512 load_floats(const std::byte* from) { return _mm512_loadu_ps(from); }

template <Wide kForm>
struct WideGemm {
  /// Columns 0..C-1 of group g, which was just written: it is in a cache.
  template <int C, bool kFetch>
  static void pass(const GemmArgs& a, std::int64_t g) {
    constexpr int kRun = WideRows::run(kForm);
    const ActivationTile& x = *a.tile;
    const std::byte* block = a.groups + g * WideRows::group_bytes(kForm, x.k);
    alignas(64) float totals[C][kGroupRows] = {};
    for (std::int64_t b = 0; b < x.k / WideRows::kBlock; ++b, block += WideRows::block_bytes(kForm)) {
      __m512 sum[C];
      for (int c = 0; c < C; ++c) sum[c] = _mm512_setzero_ps();
#pragma GCC unroll 2
      for (int s = 0; s < WideRows::kBlock / kRun; ++s) {
        // Steps are 64 too large, twice what a start of 16 of them makes good.
        const std::int32_t* starts = x.starts[0] + (b * 16 + s * (kRun / 16)) * C;
        __m512i acc[C];
#pragma GCC unroll 12
        for (int c = 0; c < C; ++c) {
          acc[c] = _mm512_add_epi32(broadcast(starts + c), broadcast(starts + c));
          if constexpr (kRun == 32) {
            const __m512i second = broadcast(starts + C + c);
            acc[c] = _mm512_add_epi32(acc[c], _mm512_add_epi32(second, second));
          }
        }
        const std::byte* steps = block + s * kRun * kGroupRows;
#pragma GCC unroll 8
        for (int w = 0; w < kRun / 4; ++w)
          multiply<C>(acc, load(steps + 64 * w), x.steps + (b * 64 + s * (kRun / 4) + w) * C);
        const std::byte* table = block + WideRows::kStepBytes + 64 * s;
        const __m512 scale = load_floats(table);
#pragma GCC unroll 12
        for (int c = 0; c < C; ++c) sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[c]), scale, sum[c]);
      }
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c) add_scaled(totals[c], sum[c], x.scales + b * C + c);
    }
    store_totals<C>(a, g, totals);
  }
};

}  // namespace avx512
namespace {
void run(const GemmArgs& a) {
  switch (a.format->wide) {
    case Wide::kRuns16:
      return avx512::run_gemm<avx512::WideGemm<Wide::kRuns16>>(a);
    case Wide::kRuns32:
      return avx512::run_gemm<avx512::WideGemm<Wide::kRuns32>>(a);
    case Wide::kNone:
      DW_CHECK(false);
  }
}
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_gemm_wide() { return kernel_of<GemmWide>(Isa::kAvx512, run); }
}  // namespace deepwell
