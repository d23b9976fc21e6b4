// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace deepwell {

/// How cache elements are stored.
enum class CacheType { kF16, kBF16, kF32 };

inline constexpr std::array<std::string_view, 3> kCacheTypeNames = {"f16", "bf16", "f32"};  ///< by CacheType

constexpr std::int64_t cache_element_bytes(CacheType type) { return type == CacheType::kF32 ? 4 : 2; }

constexpr std::optional<CacheType> parse_cache_type(std::string_view name) {
  for (std::size_t i = 0; i < kCacheTypeNames.size(); ++i)
    if (kCacheTypeNames[i] == name) return static_cast<CacheType>(i);
  return std::nullopt;
}

}  // namespace deepwell
