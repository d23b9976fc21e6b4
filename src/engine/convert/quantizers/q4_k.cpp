// SPDX-License-Identifier: Apache-2.0
#include "engine/convert/kquantize.h"
#include "engine/convert/quantizer.h"

namespace deepwell {
Quantizer quantizer_quantizers_q4_k() { return {TypeId::kQ4_K, 14, KQuantizer<4>::quantize}; }
}  // namespace deepwell
