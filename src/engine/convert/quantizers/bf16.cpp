// SPDX-License-Identifier: Apache-2.0
#include "base/half.h"
#include "engine/convert/quantizer.h"
#include "engine/quant/packing.h"

namespace deepwell {
Quantizer quantizer_quantizers_bf16() {
  return {TypeId::kBF16, 32, [](const float* row, std::int64_t n, std::byte* out) {
            for (std::int64_t i = 0; i < n; ++i) store_as(out + 2 * i, float_to_bfloat(row[i]));
          }};
}
}  // namespace deepwell
