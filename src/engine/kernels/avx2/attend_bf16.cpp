// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/attend.h"
#include "engine/kernels/avx2/vec.h"
#include "engine/kernels/cache_q8.h"

namespace deepwell {
Kernel kernel_scalar_attend_bf16();
}

DW_AVX2_BEGIN
namespace deepwell::avx2 {
namespace {
#include "engine/kernels/generic/math.inc"

#include "engine/kernels/generic/softmax_page.inc"

#include "engine/kernels/generic/entries.inc"

#include "engine/kernels/generic/attend.inc"
using Entry = PlainEntry<std::uint16_t, Vec::load_bfloat>;
void run(const AttendArgs& args) {
  if (args.value_dim % Vec::kLanes == 0)
    attend<Entry>(args);
  else  // no released model has such a width; tiny test models do
    reinterpret_cast<AttendBf16::Fn*>(kernel_scalar_attend_bf16().fn)(args);
}
}  // namespace
}  // namespace deepwell::avx2
DW_ISA_END

namespace deepwell {
Kernel kernel_avx2_attend_bf16() { return kernel_of<AttendBf16>(Isa::kAvx2, avx2::run); }
}  // namespace deepwell
