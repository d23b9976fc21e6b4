// SPDX-License-Identifier: Apache-2.0
// IQ4_NL: see nibbles.h.
#include "engine/quant/nibbles.h"

namespace deepwell {
WeightFormat weight_format_iq4_nl() { return Nibbles<Iq4NlCodec>::format(Activation::kQ8x32); }
}  // namespace deepwell
