// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/avx512/vec.h"
#include "engine/kernels/elementwise.h"

DW_AVX512_BEGIN
namespace deepwell::avx512 {
namespace {
#include "engine/kernels/generic/math.inc"

#include "engine/kernels/generic/elementwise.inc"
}  // namespace
}  // namespace deepwell::avx512
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_to_halves() { return kernel_of<ToHalves>(Isa::kAvx512, avx512::to_halves); }
}  // namespace deepwell
