// SPDX-License-Identifier: Apache-2.0
#include "base/half.h"
#include "engine/convert/quantizer.h"
#include "engine/quant/packing.h"

namespace deepwell {
Quantizer quantizer_quantizers_f16() {
  return {TypeId::kF16, 1, [](const float* row, std::int64_t n, std::byte* out) {
            for (std::int64_t i = 0; i < n; ++i) store_as(out + 2 * i, float_to_half(row[i]));
          }};
}
}  // namespace deepwell
