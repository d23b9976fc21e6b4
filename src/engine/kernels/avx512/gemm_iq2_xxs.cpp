// SPDX-License-Identifier: Apache-2.0
// IQ2_XXS: the block is described in quant/iq2_xxs.cpp.
#include "engine/kernels/avx512/row_gemm.h"
#include "engine/quant/iq2_codebooks.h"

DW_AVX512_BEGIN
namespace deepwell {
namespace {
using namespace avx512;

struct Row {
  static constexpr std::int64_t kBytes = 66;
  static constexpr Wide kForm = Wide::kRuns32;
  static constexpr bool kSigned = true;

  [[gnu::always_inline]] static void row(const std::byte* block, RowBlock& row) {
    const __m256i words = _mm512_cvtepi64_epi32(_mm512_srli_epi64(load(block + 2), 32));
    alignas(32) std::byte negative[32];
    _mm256_store_si256(reinterpret_cast<__m256i*>(negative), even_signs_of_words(words));
    set_signed(
        row, [&](int n) { return kIq2XxsBook[std::to_integer<std::size_t>(block[2 + n / 4 * 8 + n % 4])]; },
        negative);
    const __m512i steps = _mm512_castsi256_si512(_mm256_srli_epi32(words, 28));
    row.scales = half_step_scales(block, steps, 0.25F);
  }
};

void run(const GemmArgs& a) { run_gemm<RowGemm<Row>>(a); }
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_gemm_iq2_xxs() {
  return {"gemm_iq2_xxs", Isa::kAvx512, reinterpret_cast<Kernel::AnyFn>(run)};
}
}  // namespace deepwell
