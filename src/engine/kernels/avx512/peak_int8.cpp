// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/isa_region.h"
#include "engine/kernels/peak.h"

DW_AVX512_BEGIN
namespace deepwell {
namespace {
double run(std::int64_t steps) {
  const __m512i x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(2);
  // 16 chains in named registers: an array would be spilled, and the stores measured instead.
#define EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define DECLARE(n) __m512i a##n = _mm512_setzero_si512();
#define ADD(n)                            \
  a##n = _mm512_dpbusd_epi32(a##n, x, y); \
  asm volatile("" : "+v"(a##n));
  EACH(DECLARE)
  for (std::int64_t i = 0; i < steps; ++i) {
    EACH(ADD)
  }
#undef EACH
#undef DECLARE
#undef ADD
  return static_cast<double>(steps) * 16 * 128;
}
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_peak_int8() { return kernel_of<PeakInt8>(Isa::kAvx512, run); }
}  // namespace deepwell
