// SPDX-License-Identifier: Apache-2.0
// IQ3_XXS: the block is described in quant/iq3_xxs.cpp.
#include "engine/kernels/avx512/row_gemm.h"
#include "engine/quant/iq3_codebooks.h"

DW_AVX512_BEGIN
namespace deepwell {
namespace {
using namespace avx512;

struct Row {
  static constexpr std::int64_t kBytes = 98;
  static constexpr Wide kForm = Wide::kRuns32;
  static constexpr bool kSigned = true;

  [[gnu::always_inline]] static void row(const std::byte* block, RowBlock& row) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + 66));
    alignas(32) std::byte negative[32];
    _mm256_store_si256(reinterpret_cast<__m256i*>(negative), even_signs_of_words(words));
    set_signed(
        row, [&](int n) { return kIq3XxsBook[std::to_integer<std::size_t>(block[2 + n])]; }, negative);
    const __m512i steps = _mm512_castsi256_si512(_mm256_srli_epi32(words, 28));
    row.scales = half_step_scales(block, steps, 0.5F);
  }
};

void run(const GemmArgs& a) { run_gemm<RowGemm<Row>>(a); }
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_gemm_iq3_xxs() {
  return {"gemm_iq3_xxs", Isa::kAvx512, reinterpret_cast<Kernel::AnyFn>(run)};
}
}  // namespace deepwell
