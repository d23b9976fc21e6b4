// SPDX-License-Identifier: Apache-2.0
// Q4_K: see kquant.h.
#include "engine/quant/kquant.h"

namespace deepwell {
WeightFormat weight_format_q4_k() { return KQuant<4>::format(TypeId::kQ4_K); }
}  // namespace deepwell
