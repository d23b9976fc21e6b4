// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/attend.h"
#include "engine/kernels/avx512/vec.h"
#include "engine/kernels/cache_q8.h"

namespace deepwell {
Kernel kernel_scalar_attend_q8();
}

DW_AVX512_BEGIN
namespace deepwell::avx512 {
namespace {
#include "engine/kernels/generic/math.inc"

#include "engine/kernels/generic/softmax_page.inc"

#include "engine/kernels/generic/entries.inc"

#include "engine/kernels/generic/attend.inc"
using Entry = Q8Entry;
void run(const AttendArgs& args) {
  if (args.value_dim % Vec::kLanes == 0)
    attend<Entry>(args);
  else  // no released model has such a width; tiny test models do
    reinterpret_cast<AttendQ8::Fn*>(kernel_scalar_attend_q8().fn)(args);
}
}  // namespace
}  // namespace deepwell::avx512
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_attend_q8() { return kernel_of<AttendQ8>(Isa::kAvx512, avx512::run); }
}  // namespace deepwell
