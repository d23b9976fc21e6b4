// SPDX-License-Identifier: Apache-2.0
// NVFP4: see nibbles.h.
#include "engine/quant/nibbles.h"

namespace deepwell {
WeightFormat weight_format_nvfp4() { return Nibbles<Nvfp4Codec>::format(Activation::kF32); }
}  // namespace deepwell
