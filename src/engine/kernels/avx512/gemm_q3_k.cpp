// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/avx512/gemm_two_bit.h"

DW_AVX512_BEGIN
namespace deepwell {
namespace {
void run(const GemmArgs& a) { avx512::run_gemm<avx512::TwoBitGemm<TwoBitPlanes<3>>>(a); }
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_gemm_q3_k() { return {"gemm_q3_k", Isa::kAvx512, reinterpret_cast<Kernel::AnyFn>(run)}; }
}  // namespace deepwell
