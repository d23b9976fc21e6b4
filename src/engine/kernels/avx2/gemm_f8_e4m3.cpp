// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/avx2/vec.h"
#include "engine/kernels/gemm.h"
#include "engine/quant/f8_e4m3.h"

DW_AVX2_BEGIN
namespace deepwell::avx2 {
namespace {
#include "engine/kernels/generic/gemm_float.inc"
/// A code's bits are those of a half with 8 more exponent bias.
struct Weights {
  static std::int64_t group_bytes(std::int64_t k) { return F8E4M3::group_bytes(k); }
  static Vec scale_of(const std::byte* group, std::int64_t k, std::int64_t i, int row) {
    const auto* scales = reinterpret_cast<const float*>(group + F8E4M3::scale_offset(k));
    return Vec::load(scales + i / F8E4M3::kBlock * kGroupRows + row);
  }
  static Vec load(const std::byte* group, std::int64_t k, std::int64_t i, int row) {
    const __m128i codes =
        _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(group + i * kGroupRows + row)));
    const __m128i value = _mm_slli_epi16(_mm_and_si128(codes, _mm_set1_epi16(0x7f)), 7);
    const __m128i sign = _mm_slli_epi16(_mm_and_si128(codes, _mm_set1_epi16(0x80)), 8);
    // The code of NaN becomes that of a half.
    const __m128i nan = _mm_cmpeq_epi16(value, _mm_set1_epi16(0x3f80));
    const __m128i half = _mm_or_si128(_mm_or_si128(value, sign), _mm_and_si128(nan, _mm_set1_epi16(0x7e00)));
    return Vec{_mm256_cvtph_ps(half)} * (scale_of(group, k, i, row) * Vec::set(256));
  }
};
}  // namespace
}  // namespace deepwell::avx2
DW_ISA_END

namespace deepwell {
Kernel kernel_avx2_gemm_f8_e4m3() {
  return {"gemm_f8_e4m3", Isa::kAvx2, reinterpret_cast<Kernel::AnyFn>(avx2::gemm_float<avx2::Weights>)};
}
}  // namespace deepwell
