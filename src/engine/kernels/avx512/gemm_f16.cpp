// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/avx512/vec.h"
#include "engine/kernels/gemm.h"
#include "engine/quant/packing.h"

DW_AVX512_BEGIN
namespace deepwell::avx512 {
namespace {
#include "engine/kernels/generic/gemm_float.inc"
struct Weights {  // (k, 16 rows)
  static std::int64_t group_bytes(std::int64_t k) { return round_up(k * kGroupRows * 2, 64); }
  static Vec load(const std::byte* group, std::int64_t, std::int64_t i, int row) {
    return Vec::load_half(reinterpret_cast<const std::uint16_t*>(group) + i * kGroupRows + row);
  }
};
}  // namespace
}  // namespace deepwell::avx512
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_gemm_f16() {
  return {"gemm_f16", Isa::kAvx512, reinterpret_cast<Kernel::AnyFn>(avx512::gemm_float<avx512::Weights>)};
}
}  // namespace deepwell
