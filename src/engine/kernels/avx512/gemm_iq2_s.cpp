// SPDX-License-Identifier: Apache-2.0
// IQ2_S: the block is described in quant/iq2_s.cpp.
#include "engine/kernels/avx512/row_gemm.h"
#include "engine/quant/iq2_codebooks.h"

DW_AVX512_BEGIN
namespace deepwell {
namespace {
using namespace avx512;

struct Row {
  static constexpr std::int64_t kBytes = 82;
  static constexpr Wide kForm = Wide::kRuns16;
  static constexpr bool kSigned = true;

  [[gnu::always_inline]] static void row(const std::byte* block, RowBlock& row) {
    const auto high = load_as<std::uint64_t>(block + 66);  // 2 bits of each index
    set_signed(
        row,
        [&](int n) {
          return kIq2SBook[std::to_integer<std::size_t>(block[2 + n]) | (high >> (2 * n) & 3U) << 8];
        },
        block + 34);
    row.scales = half_step_scales(block, nibbles(load_as<std::uint64_t>(block + 74)), 0.25F);
  }
};

void run(const GemmArgs& a) { run_gemm<RowGemm<Row>>(a); }
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_gemm_iq2_s() {
  return {"gemm_iq2_s", Isa::kAvx512, reinterpret_cast<Kernel::AnyFn>(run)};
}
}  // namespace deepwell
