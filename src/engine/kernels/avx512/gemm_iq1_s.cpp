// SPDX-License-Identifier: Apache-2.0
// IQ1_S: the block is described in quant/iq1_s.cpp.
#include "engine/kernels/avx512/row_gemm.h"
#include "engine/quant/iq1_codebook.h"

DW_AVX512_BEGIN
namespace deepwell {
namespace {
using namespace avx512;

struct Row {
  static constexpr std::int64_t kBytes = 50;
  static constexpr Wide kForm = Wide::kRuns32;
  static constexpr bool kSigned = false;

  [[gnu::always_inline]] static void row(const std::byte* block, RowBlock& row) {
    const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 34));
    const auto down = static_cast<unsigned>(_mm_movepi16_mask(words));  // of each run
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const unsigned high[2] = {load_as<std::uint16_t>(block + 34 + 4 * i),
                                load_as<std::uint16_t>(block + 36 + 4 * i)};
      const __m512i levels = eight_entries([&](int n) {
        return kIq1Book[std::to_integer<std::size_t>(block[2 + 8 * i + n]) | (high[n / 4] >> (n % 4 * 3) & 7U)
                                                                                 << 8];
      });
      const unsigned runs = down >> (2 * i);
      row.levels[i] = eighths(levels, static_cast<__mmask8>((runs & 1U) * 0x0fU | (runs >> 1 & 1U) * 0xf0U));
    }
    const __m512i steps = _mm512_and_si512(
        _mm512_castsi256_si512(_mm256_srli_epi32(_mm256_cvtepu16_epi32(words), 12)), _mm512_set1_epi32(7));
    row.scales = odd_scales(half_everywhere(block), steps, 0.125F);
  }
};

void run(const GemmArgs& a) { run_gemm<RowGemm<Row>>(a); }
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_gemm_iq1_s() {
  return {"gemm_iq1_s", Isa::kAvx512, reinterpret_cast<Kernel::AnyFn>(run)};
}
}  // namespace deepwell
