// SPDX-License-Identifier: Apache-2.0
// MXFP4: see nibbles.h.
#include "engine/quant/nibbles.h"

namespace deepwell {
WeightFormat weight_format_mxfp4() { return Nibbles<Mxfp4Codec>::format(Activation::kQ8x32); }
}  // namespace deepwell
