// SPDX-License-Identifier: Apache-2.0
// Q4_1: see legacy.h.
#include "engine/quant/legacy.h"

namespace deepwell {
WeightFormat weight_format_q4_1() { return LegacyQ4_1::format(TypeId::kQ4_1); }
}  // namespace deepwell
