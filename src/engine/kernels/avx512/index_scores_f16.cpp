// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/avx512/vec.h"
#include "engine/kernels/cache_q8.h"
#include "engine/kernels/index_scores.h"

namespace deepwell {
Kernel kernel_scalar_index_scores_f16();
}

DW_AVX512_BEGIN
namespace deepwell::avx512 {
namespace {
#include "engine/kernels/generic/entries.inc"

#include "engine/kernels/generic/index_scores.inc"
using Entry = PlainEntry<std::uint16_t, Vec::load_half>;
void run(const IndexScoresArgs& args) {
  if (args.width % Vec::kLanes == 0)
    index_scores<Entry>(args);
  else  // no released model has such a width; tiny test models do
    reinterpret_cast<IndexScoresF16::Fn*>(kernel_scalar_index_scores_f16().fn)(args);
}
}  // namespace
}  // namespace deepwell::avx512
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_index_scores_f16() { return kernel_of<IndexScoresF16>(Isa::kAvx512, avx512::run); }
}  // namespace deepwell
