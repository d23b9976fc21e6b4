// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "engine/convert/quantizer.h"

namespace deepwell {
Quantizer quantizer_quantizers_f32() {
  return {TypeId::kF32, 0, [](const float* row, std::int64_t n, std::byte* out) {
            std::memcpy(out, row, static_cast<std::size_t>(n) * sizeof(float));
          }};
}
}  // namespace deepwell
