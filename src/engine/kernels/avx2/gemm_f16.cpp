// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/avx2/vec.h"
#include "engine/kernels/gemm.h"
#include "engine/quant/packing.h"

DW_AVX2_BEGIN
namespace deepwell::avx2 {
namespace {
#include "engine/kernels/generic/gemm_float.inc"
struct Weights {  // (k, 16 rows)
  static std::int64_t group_bytes(std::int64_t k) { return round_up(k * kGroupRows * 2, 64); }
  static Vec load(const std::byte* group, std::int64_t, std::int64_t i, int row) {
    return Vec::load_half(reinterpret_cast<const std::uint16_t*>(group) + i * kGroupRows + row);
  }
};
}  // namespace
}  // namespace deepwell::avx2
DW_ISA_END

namespace deepwell {
Kernel kernel_avx2_gemm_f16() {
  return {"gemm_f16", Isa::kAvx2, reinterpret_cast<Kernel::AnyFn>(avx2::gemm_float<avx2::Weights>)};
}
}  // namespace deepwell
