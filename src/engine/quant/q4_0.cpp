// SPDX-License-Identifier: Apache-2.0
// Q4_0: see legacy.h.
#include "engine/quant/legacy.h"

namespace deepwell {
WeightFormat weight_format_q4_0() { return LegacyQ4_0::format(TypeId::kQ4_0); }
}  // namespace deepwell
