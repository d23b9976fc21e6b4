// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/avx2/gemm_int8.h"

DW_AVX2_BEGIN
namespace deepwell {
namespace {
#define ROWS(N) avx2::legacy_rows<LegacyQ5_0, N>
void run(const GemmArgs& a) { DW_GEMM_COLUMNS(ROWS) }
#undef ROWS
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx2_gemm_q5_0() { return {"gemm_q5_0", Isa::kAvx2, reinterpret_cast<Kernel::AnyFn>(run)}; }
}  // namespace deepwell
