// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/attend_latent.h"
#include "engine/kernels/avx512/vec.h"
#include "engine/kernels/cache_q8.h"

namespace deepwell {
Kernel kernel_scalar_attend_latent_f32();
}

DW_AVX512_BEGIN
namespace deepwell::avx512 {
namespace {
#include "engine/kernels/generic/math.inc"

#include "engine/kernels/generic/softmax_page.inc"

#include "engine/kernels/generic/entries.inc"

#include "engine/kernels/generic/attend_latent.inc"
using Entry = PlainEntry<float, Vec::load>;
void run(const AttendLatentArgs& args) {
  if (args.width % Vec::kLanes == 0 && args.value_width % Vec::kLanes == 0)
    attend_latent<Entry>(args);
  else  // no released model has such widths; tiny test models do
    reinterpret_cast<AttendLatentF32::Fn*>(kernel_scalar_attend_latent_f32().fn)(args);
}
}  // namespace
}  // namespace deepwell::avx512
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_attend_latent_f32() { return kernel_of<AttendLatentF32>(Isa::kAvx512, avx512::run); }
}  // namespace deepwell
