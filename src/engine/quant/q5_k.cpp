// SPDX-License-Identifier: Apache-2.0
// Q5_K: see kquant.h.
#include "engine/quant/kquant.h"

namespace deepwell {
WeightFormat weight_format_q5_k() { return KQuant<5>::format(TypeId::kQ5_K); }
}  // namespace deepwell
