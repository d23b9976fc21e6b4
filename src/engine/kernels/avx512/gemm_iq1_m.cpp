// SPDX-License-Identifier: Apache-2.0
// IQ1_M: the block is described in quant/iq1_m.cpp.
#include "engine/kernels/avx512/row_gemm.h"
#include "engine/quant/iq1_codebook.h"

DW_AVX512_BEGIN
namespace deepwell {
namespace {
using namespace avx512;

struct Row {
  static constexpr std::int64_t kBytes = 56;
  static constexpr Wide kForm = Wide::kRuns16;
  static constexpr bool kSigned = false;

  [[gnu::always_inline]] static void row(const std::byte* block, RowBlock& row) {
    const std::uint64_t nibble[2] = {load_as<std::uint64_t>(block + 32), load_as<std::uint64_t>(block + 40)};
    const auto words = load_as<std::uint64_t>(block + 48);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const auto high = static_cast<std::uint32_t>(nibble[i / 2] >> (i % 2 * 32));
      const __m512i levels = eight_entries([&](int n) {
        return kIq1Book[std::to_integer<std::size_t>(block[8 * i + n]) | (high >> (4 * n) & 7U) << 8];
      });
      const __mmask8 down = _mm512_test_epi64_mask(
          _mm512_set1_epi64(high), _mm512_setr_epi64(1LL << 3, 1LL << 7, 1LL << 11, 1LL << 15, 1LL << 19,
                                                     1LL << 23, 1LL << 27, 1LL << 31));
      row.levels[i] = eighths(levels, down);
    }
    const auto half = static_cast<std::uint16_t>((words >> 12 & 0xfU) | (words >> 24 & 0xf0U) |
                                                 (words >> 36 & 0xf00U) | (words >> 48 & 0xf000U));
    // Run s has bits 3 * (s % 4) of halfword s / 4.
    const __m512i parts = _mm512_cvtepu16_epi32(
        _mm256_permutexvar_epi16(_mm256_setr_epi16(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3),
                                 _mm256_castsi128_si256(_mm_cvtsi64_si128(static_cast<long long>(words)))));
    const __m512i steps = _mm512_and_si512(
        _mm512_srlv_epi32(parts, _mm512_setr_epi32(0, 3, 6, 9, 0, 3, 6, 9, 0, 3, 6, 9, 0, 3, 6, 9)),
        _mm512_set1_epi32(7));
    row.scales = odd_scales(_mm512_set1_ps(_cvtsh_ss(half)), steps, 0.125F);
  }
};

void run(const GemmArgs& a) { run_gemm<RowGemm<Row>>(a); }
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_gemm_iq1_m() {
  return {"gemm_iq1_m", Isa::kAvx512, reinterpret_cast<Kernel::AnyFn>(run)};
}
}  // namespace deepwell
