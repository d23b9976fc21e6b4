// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/activation_tile.h"
#include "engine/kernels/avx2/quantize.h"
#include "engine/kernels/kernel.h"

DW_AVX2_BEGIN
namespace deepwell::avx2 {
namespace {
#include "engine/kernels/generic/prepare.inc"
}  // namespace
}  // namespace deepwell::avx2
DW_ISA_END

namespace deepwell {
Kernel kernel_avx2_prepare_q8x32() { return kernel_of<PrepareQ8x32>(Isa::kAvx2, avx2::prepare_q8x32); }
}  // namespace deepwell
