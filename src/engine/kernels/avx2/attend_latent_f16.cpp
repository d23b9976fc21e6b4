// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/attend_latent.h"
#include "engine/kernels/avx2/vec.h"
#include "engine/kernels/cache_q8.h"

namespace deepwell {
Kernel kernel_scalar_attend_latent_f16();
}

DW_AVX2_BEGIN
namespace deepwell::avx2 {
namespace {
#include "engine/kernels/generic/math.inc"

#include "engine/kernels/generic/softmax_page.inc"

#include "engine/kernels/generic/entries.inc"

#include "engine/kernels/generic/attend_latent.inc"
using Entry = PlainEntry<std::uint16_t, Vec::load_half>;
void run(const AttendLatentArgs& args) {
  if (args.width % Vec::kLanes == 0 && args.value_width % Vec::kLanes == 0)
    attend_latent<Entry>(args);
  else  // no released model has such widths; tiny test models do
    reinterpret_cast<AttendLatentF16::Fn*>(kernel_scalar_attend_latent_f16().fn)(args);
}
}  // namespace
}  // namespace deepwell::avx2
DW_ISA_END

namespace deepwell {
Kernel kernel_avx2_attend_latent_f16() { return kernel_of<AttendLatentF16>(Isa::kAvx2, avx2::run); }
}  // namespace deepwell
