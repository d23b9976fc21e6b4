// SPDX-License-Identifier: Apache-2.0
// Q8_0: see legacy.h.
#include "engine/quant/legacy.h"

namespace deepwell {
WeightFormat weight_format_q8_0() { return LegacyQ8_0::format(TypeId::kQ8_0); }
}  // namespace deepwell
