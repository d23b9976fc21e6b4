// SPDX-License-Identifier: Apache-2.0
// IQ3_S: the block is described in quant/iq3_s.cpp.
#include "engine/kernels/avx512/row_gemm.h"
#include "engine/quant/iq3_codebooks.h"

DW_AVX512_BEGIN
namespace deepwell {
namespace {
using namespace avx512;

struct Row {
  static constexpr std::int64_t kBytes = 110;
  static constexpr Wide kForm = Wide::kRuns32;
  static constexpr bool kSigned = true;

  [[gnu::always_inline]] static void row(const std::byte* block, RowBlock& row) {
    const auto high = load_as<std::uint64_t>(block + 66);  // a bit of each index
    set_signed(
        row,
        [&](int n) { return kIq3SBook[std::to_integer<std::size_t>(block[2 + n]) | (high >> n & 1U) << 8]; },
        block + 74);
    row.scales = odd_scales(half_everywhere(block), nibbles(load_as<std::uint32_t>(block + 106)), 1.0F);
  }
};

void run(const GemmArgs& a) { run_gemm<RowGemm<Row>>(a); }
}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_gemm_iq3_s() {
  return {"gemm_iq3_s", Isa::kAvx512, reinterpret_cast<Kernel::AnyFn>(run)};
}
}  // namespace deepwell
