// SPDX-License-Identifier: Apache-2.0
#include "engine/convert/kquantize.h"
#include "engine/convert/quantizer.h"

namespace deepwell {
Quantizer quantizer_quantizers_q5_k() { return {TypeId::kQ5_K, 16, KQuantizer<5>::quantize}; }
}  // namespace deepwell
