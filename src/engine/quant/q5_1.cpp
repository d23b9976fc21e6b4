// SPDX-License-Identifier: Apache-2.0
// Q5_1: see legacy.h.
#include "engine/quant/legacy.h"

namespace deepwell {
WeightFormat weight_format_q5_1() { return LegacyQ5_1::format(TypeId::kQ5_1); }
}  // namespace deepwell
