// SPDX-License-Identifier: Apache-2.0
// IQ2_XS: the block is described in quant/iq2_xs.cpp.
#include "engine/kernels/avx512/row_gemm.h"
#include "engine/quant/iq2_codebooks.h"

DW_AVX512_BEGIN
namespace deepwell {
namespace {
using namespace avx512;

struct Row {
  static constexpr std::int64_t kBytes = 74;
  static constexpr Wide kForm = Wide::kRuns16;
  static constexpr bool kSigned = true;

  [[gnu::always_inline]] static void row(const std::byte* block, RowBlock& row) {
    const __m512i words = load(block + 2);
    alignas(64) std::uint16_t indices[32];
    alignas(32) std::byte negative[32];
    _mm512_store_si512(indices, _mm512_and_si512(words, _mm512_set1_epi16(511)));
    _mm256_store_si256(reinterpret_cast<__m256i*>(negative),
                       even_signs(_mm512_cvtepi16_epi8(_mm512_srli_epi16(words, 9))));
    set_signed(
        row, [&](int n) { return kIq2XsBook[indices[n]]; }, negative);
    row.scales = half_step_scales(block, nibbles(load_as<std::uint64_t>(block + 66)), 0.25F);
  }
};

void run(const GemmArgs& a) { run_gemm<RowGemm<Row>>(a); }
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_gemm_iq2_xs() {
  return {"gemm_iq2_xs", Isa::kAvx512, reinterpret_cast<Kernel::AnyFn>(run)};
}
}  // namespace deepwell
