// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace deepwell {

/// A storage type of weights, numbered as in GGUF (ggml_type ids). Rows are whole blocks.
enum class TypeId : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ2_XXS = 16,
  kIQ2_XS = 17,
  kIQ3_XXS = 18,
  kIQ1_S = 19,
  kIQ4_NL = 20,
  kIQ3_S = 21,
  kIQ2_S = 22,
  kIQ4_XS = 23,
  kI8 = 24,
  kI16 = 25,
  kI32 = 26,
  kI64 = 27,
  kF64 = 28,
  kIQ1_M = 29,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kMXFP4 = 39,
  kNVFP4 = 40,
};

struct TypeInfo {
  TypeId id;
  std::string_view name;  ///< "Q4_K"
  std::int64_t block_elements;
  std::int64_t block_bytes;
};

/// Every type a file may name, whether or not this build can compute with it.
std::span<const TypeInfo> known_types();
/// nullptr when the id names no type (or a removed one).
const TypeInfo* find_type(std::uint32_t id);
const TypeInfo& type_info(TypeId id);  ///< requires a known id (DW_CHECK)

}  // namespace deepwell
