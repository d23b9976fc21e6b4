// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/avx2/gemm_two_bit.h"

DW_AVX2_BEGIN
namespace deepwell {
namespace {
#define ROWS(N) avx2::two_bit_rows<TwoBitPlanes<2>, N>
void run(const GemmArgs& a) { DW_GEMM_COLUMNS(ROWS) }
#undef ROWS
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx2_gemm_q2_k() { return {"gemm_q2_k", Isa::kAvx2, reinterpret_cast<Kernel::AnyFn>(run)}; }
}  // namespace deepwell
