// SPDX-License-Identifier: Apache-2.0
// IQ4_XS: see nibbles.h.
#include "engine/quant/nibbles.h"

namespace deepwell {
WeightFormat weight_format_iq4_xs() { return Nibbles<Iq4XsCodec>::format(Activation::kQ8x32); }
}  // namespace deepwell
