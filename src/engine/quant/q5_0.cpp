// SPDX-License-Identifier: Apache-2.0
// Q5_0: see legacy.h.
#include "engine/quant/legacy.h"

namespace deepwell {
WeightFormat weight_format_q5_0() { return LegacyQ5_0::format(TypeId::kQ5_0); }
}  // namespace deepwell
