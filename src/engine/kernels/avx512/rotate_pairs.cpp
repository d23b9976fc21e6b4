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
Kernel kernel_avx512_rotate_pairs() { return kernel_of<RotatePairs>(Isa::kAvx512, avx512::rotate_pairs); }
}  // namespace deepwell
