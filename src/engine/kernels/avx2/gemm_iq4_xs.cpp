// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/avx2/gemm_nibbles.h"

DW_AVX2_BEGIN
namespace deepwell {
namespace {
#define ROWS(N) avx2::nibbles_rows<Iq4XsCodec, N>
void run(const GemmArgs& a) { DW_GEMM_COLUMNS(ROWS) }
#undef ROWS
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx2_gemm_iq4_xs() { return {"gemm_iq4_xs", Isa::kAvx2, reinterpret_cast<Kernel::AnyFn>(run)}; }
}  // namespace deepwell
