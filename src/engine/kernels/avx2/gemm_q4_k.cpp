// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/avx2/gemm_int8.h"

DW_AVX2_BEGIN
namespace deepwell {
namespace {
void run(const GemmArgs& a) { avx2::run_gemm<avx2::KQuantGemm<KQuant<4>>>(a); }
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx2_gemm_q4_k() { return {"gemm_q4_k", Isa::kAvx2, reinterpret_cast<Kernel::AnyFn>(run)}; }
}  // namespace deepwell
