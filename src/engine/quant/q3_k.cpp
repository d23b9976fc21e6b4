// SPDX-License-Identifier: Apache-2.0
// Q3_K: see two_bit_planes.h.
#include "engine/quant/two_bit_planes.h"

namespace deepwell {
WeightFormat weight_format_q3_k() { return TwoBitPlanes<3>::format(TypeId::kQ3_K); }
}  // namespace deepwell
