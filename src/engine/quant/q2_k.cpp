// SPDX-License-Identifier: Apache-2.0
// Q2_K: see two_bit_planes.h.
#include "engine/quant/two_bit_planes.h"

namespace deepwell {
WeightFormat weight_format_q2_k() { return TwoBitPlanes<2>::format(TypeId::kQ2_K); }
}  // namespace deepwell
