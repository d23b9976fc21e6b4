// SPDX-License-Identifier: Apache-2.0
#include "engine/quant/floats.h"

namespace deepwell {
namespace {
struct Codec {
  using Stored = float;
  static float to_float(Stored value) { return value; }
};
}  // namespace
WeightFormat weight_format_f32() { return Floats<Codec, 1>::format(TypeId::kF32, Activation::kF32); }
}  // namespace deepwell
