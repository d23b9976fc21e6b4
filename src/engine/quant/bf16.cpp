// SPDX-License-Identifier: Apache-2.0
#include "engine/quant/floats.h"

namespace deepwell {
namespace {
struct Codec {
  using Stored = std::uint16_t;
  static float to_float(Stored value) { return bfloat_to_float(value); }
};
}  // namespace
WeightFormat weight_format_bf16() { return Floats<Codec, 2>::format(TypeId::kBF16, Activation::kBf16); }
}  // namespace deepwell
