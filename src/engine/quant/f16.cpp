// SPDX-License-Identifier: Apache-2.0
#include "engine/quant/floats.h"

namespace deepwell {
namespace {
struct Codec {
  using Stored = std::uint16_t;
  static float to_float(Stored value) { return half_to_float(value); }
};
}  // namespace
WeightFormat weight_format_f16() { return Floats<Codec, 1>::format(TypeId::kF16, Activation::kF32); }
}  // namespace deepwell
