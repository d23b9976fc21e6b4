// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/avx2/vec.h"
#include "engine/kernels/elementwise.h"

DW_AVX2_BEGIN
namespace deepwell::avx2 {
namespace {
#include "engine/kernels/generic/math.inc"

#include "engine/kernels/generic/elementwise.inc"
}  // namespace
}  // namespace deepwell::avx2
DW_ISA_END

namespace deepwell {
Kernel kernel_avx2_rotate_halves() { return kernel_of<RotateHalves>(Isa::kAvx2, avx2::rotate_halves); }
}  // namespace deepwell
