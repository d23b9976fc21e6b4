// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/isa_region.h"
#include "engine/kernels/peak.h"

DW_AVX2_BEGIN
namespace deepwell {
namespace {
/// vpmaddubsw and the addition of its sums: what a product costs, where widening them is shared by many.
double run(std::int64_t steps) {
  const __m256i y = _mm256_set1_epi8(2);
#define EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)
#define DECLARE(n) __m256i a##n = _mm256_setzero_si256();
#define ADD(n)                                               \
  a##n = _mm256_add_epi16(a##n, _mm256_maddubs_epi16(x, y)); \
  asm volatile("" : "+x"(a##n), "+x"(x));
  EACH(DECLARE)
  __m256i x = _mm256_set1_epi8(3);
  for (std::int64_t i = 0; i < steps; ++i) {
    EACH(ADD)
  }
#undef EACH
#undef DECLARE
#undef ADD
  return static_cast<double>(steps) * 10 * 64;
}
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx2_peak_int8() { return kernel_of<PeakInt8>(Isa::kAvx2, run); }
}  // namespace deepwell
