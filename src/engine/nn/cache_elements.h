// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kv/page_pool.h"

namespace deepwell {

/// n floats as cache elements at `to`, `stride` elements apart.
void put_cache_elements(CacheType type, const float* x, std::int64_t n, std::byte* to, std::int64_t stride);
/// n cache elements, side by side, as floats.
void get_cache_elements(CacheType type, const std::byte* from, std::int64_t n, float* x);

}  // namespace deepwell
