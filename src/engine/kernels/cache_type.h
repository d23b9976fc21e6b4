// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/kernels/cache_q8.h"

namespace deepwell {

/// How cache elements are stored.
enum class CacheType { kF16, kBF16, kF32, kQ8 };

inline constexpr std::array<std::string_view, 4> kCacheTypeNames = {"f16", "bf16", "f32",
                                                                    "q8"};  ///< by CacheType

/// Of a vector of `width` elements: a key or value of one head, a latent.
constexpr std::int64_t cache_vector_bytes(CacheType type, std::int64_t width) {
  if (type == CacheType::kQ8) return CacheQ8::vector_bytes(width);
  return width * (type == CacheType::kF32 ? 4 : 2);
}

constexpr std::optional<CacheType> parse_cache_type(std::string_view name) {
  for (std::size_t i = 0; i < kCacheTypeNames.size(); ++i)
    if (kCacheTypeNames[i] == name) return static_cast<CacheType>(i);
  return std::nullopt;
}

}  // namespace deepwell
