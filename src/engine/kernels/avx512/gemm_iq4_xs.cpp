// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/avx512/gemm_nibbles.h"

DW_AVX512_BEGIN
namespace deepwell {
namespace {
void run(const GemmArgs& a) { avx512::run_gemm<avx512::NibblesGemm<Iq4XsCodec>>(a); }
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_gemm_iq4_xs() {
  return {"gemm_iq4_xs", Isa::kAvx512, reinterpret_cast<Kernel::AnyFn>(run)};
}
}  // namespace deepwell
