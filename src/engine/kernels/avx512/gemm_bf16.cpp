// SPDX-License-Identifier: Apache-2.0
// BF16 weights times BF16 activations: vdpbf16ps, two k of 16 rows at once. Needs AVX512_BF16; without it
// the engine multiplies the same weights, widened, by float activations.
#include "engine/kernels/gemm.h"
#include "engine/kernels/isa_region.h"
#include "engine/quant/packing.h"

DW_AVX512_BF16_BEGIN
namespace deepwell {
namespace {

// Sums per column: the same for every width, so that a token does not depend on its batch.
constexpr int U = 4;

template <int C>
void group_of(const GemmArgs& a, std::int64_t g, int first) {
  const ActivationTile& x = *a.tile;
  const int width = x.width;
  const std::int64_t pairs = (x.k + 1) / 2;
  const std::byte* group = a.groups + g * round_up(pairs * 64, 64);
  __m512 sum[U][C];
  for (int u = 0; u < U; ++u)
    for (int c = 0; c < C; ++c) sum[u][c] = _mm512_setzero_ps();
  std::int64_t i = 0;
  for (; i + U <= pairs; i += U) {
#pragma GCC unroll 8
    for (int u = 0; u < U; ++u) {
      const __m512bh w = reinterpret_cast<__m512bh>(_mm512_loadu_si512(group + (i + u) * 64));
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c) {
        const auto word = static_cast<int>(x.bf16[(i + u) * width + first + c]);
        sum[u][c] = _mm512_dpbf16_ps(sum[u][c], w, reinterpret_cast<__m512bh>(_mm512_set1_epi32(word)));
      }
    }
  }
  for (; i < pairs; ++i) {
    const __m512bh w = reinterpret_cast<__m512bh>(_mm512_loadu_si512(group + i * 64));
    for (int c = 0; c < C; ++c) {
      const auto word = static_cast<int>(x.bf16[i * width + first + c]);
      sum[0][c] = _mm512_dpbf16_ps(sum[0][c], w, reinterpret_cast<__m512bh>(_mm512_set1_epi32(word)));
    }
  }
  const std::int64_t left = a.rows - g * kGroupRows;
  const __mmask16 mask = left >= kGroupRows ? __mmask16(0xffff) : static_cast<__mmask16>((1U << left) - 1U);
  for (int c = 0; c < C && first + c < a.columns; ++c) {
    for (int u = 1; u < U; ++u) sum[0][c] = _mm512_add_ps(sum[0][c], sum[u][c]);
    float* y = a.y + (first + c) * a.y_stride + g * kGroupRows;
    if (a.accumulate) sum[0][c] = _mm512_add_ps(sum[0][c], _mm512_maskz_loadu_ps(mask, y));
    _mm512_mask_storeu_ps(y, mask, sum[0][c]);
  }
}

void run(const GemmArgs& a) {
  for (std::int64_t g = 0; g < a.group_count; ++g) {
    int c = 0;
    for (; c + 6 <= a.tile->width; c += 6) group_of<6>(a, g, c);
    for (; c + 4 <= a.tile->width; c += 4) group_of<4>(a, g, c);
    for (; c + 2 <= a.tile->width; c += 2) group_of<2>(a, g, c);
    for (; c < a.tile->width; ++c) group_of<1>(a, g, c);
  }
}

}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_gemm_bf16() {
  return {"gemm_bf16", Isa::kAvx512, reinterpret_cast<Kernel::AnyFn>(run), has_avx512_bf16};
}
}  // namespace deepwell
