// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/activation_tile.h"
#include "engine/kernels/avx512/quantize.h"
#include "engine/kernels/kernel.h"

DW_AVX512_BEGIN
namespace deepwell::avx512 {
namespace {
#include "engine/kernels/generic/prepare.inc"
}  // namespace
}  // namespace deepwell::avx512
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_prepare_q8x256() {
  return kernel_of<PrepareQ8x256>(Isa::kAvx512, avx512::prepare_q8x256);
}
}  // namespace deepwell
