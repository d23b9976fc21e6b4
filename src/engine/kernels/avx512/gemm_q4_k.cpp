// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/avx512/gemm_int8.h"

DW_AVX512_BEGIN
namespace deepwell {
namespace {
#define GROUP(C) avx512::kquant_group<KQuant<4>, C>
void run(const GemmArgs& a) {
  if (a.tile->width == 1) {
    std::int64_t g = 0;
    for (; g + 4 <= a.group_count; g += 4) avx512::kquant_single<KQuant<4>, 4>(a, g);
    for (; g < a.group_count; ++g) avx512::kquant_single<KQuant<4>, 1>(a, g);
    return;
  }
  DW_GEMM_WIDTHS(GROUP)
}
#undef GROUP
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_gemm_q4_k() { return {"gemm_q4_k", Isa::kAvx512, reinterpret_cast<Kernel::AnyFn>(run)}; }
}  // namespace deepwell
