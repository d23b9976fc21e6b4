// SPDX-License-Identifier: Apache-2.0
#include "engine/tensor/type.h"

#include "base/check.h"
#include "engine/tensor/own_types.h"

namespace deepwell {
namespace {
using enum TypeId;
constexpr TypeInfo kTypes[] = {
    {kF32, "F32", 1, 4},
    {kF16, "F16", 1, 2},
    {kBF16, "BF16", 1, 2},
    {kQ4_0, "Q4_0", 32, 18},
    {kQ4_1, "Q4_1", 32, 20},
    {kQ5_0, "Q5_0", 32, 22},
    {kQ5_1, "Q5_1", 32, 24},
    {kQ8_0, "Q8_0", 32, 34},
    {kQ2_K, "Q2_K", 256, 84},
    {kQ3_K, "Q3_K", 256, 110},
    {kQ4_K, "Q4_K", 256, 144},
    {kQ5_K, "Q5_K", 256, 176},
    {kQ6_K, "Q6_K", 256, 210},
    {kIQ2_XXS, "IQ2_XXS", 256, 66},
    {kIQ2_XS, "IQ2_XS", 256, 74},
    {kIQ3_XXS, "IQ3_XXS", 256, 98},
    {kIQ1_S, "IQ1_S", 256, 50},
    {kIQ4_NL, "IQ4_NL", 32, 18},
    {kIQ3_S, "IQ3_S", 256, 110},
    {kIQ2_S, "IQ2_S", 256, 82},
    {kIQ4_XS, "IQ4_XS", 256, 136},
    {kIQ1_M, "IQ1_M", 256, 56},
    {kMXFP4, "MXFP4", 32, 17},
    {kNVFP4, "NVFP4", 64, 36},
    {kTQ1_0, "TQ1_0", 256, 54},
    {kTQ2_0, "TQ2_0", 256, 66},
    {kI8, "I8", 1, 1},
    {kI16, "I16", 1, 2},
    {kI32, "I32", 1, 4},
    {kI64, "I64", 1, 8},
    {kF64, "F64", 1, 8},
};
constexpr TypeInfo kOwnTypes[] = {
    {kF8_E4M3, "F8_E4M3", 128, 132},
    {kI4_ZERO, "I4_ZERO", 32, 19},
};
}  // namespace

std::span<const TypeInfo> known_types() { return kTypes; }

const TypeInfo* find_type(std::uint32_t id) {
  for (const TypeInfo& type : kTypes)
    if (static_cast<std::uint32_t>(type.id) == id) return &type;
  return nullptr;
}

const TypeInfo& type_info(TypeId id) {
  for (const TypeInfo& own : kOwnTypes)
    if (own.id == id) return own;
  const TypeInfo* type = find_type(static_cast<std::uint32_t>(id));
  DW_CHECK(type != nullptr);
  return *type;
}

}  // namespace deepwell
