// SPDX-License-Identifier: Apache-2.0
#include "engine/quant/weight_format.h"

namespace deepwell {

const WeightFormat* find_weight_format(TypeId type) {
  for (const WeightFormat& format : all_weight_formats())
    if (format.type == type) return &format;
  return nullptr;
}

}  // namespace deepwell
