// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kv/page_pool.h"

namespace deepwell {

/// A vector of the cache (cache_vector_bytes) of n floats.
void put_cache_vector(CacheType type, const float* x, std::int64_t n, std::byte* to);
/// The same as key number `slot` of a page of keys, which lie across: (n, kPageTokens).
void put_cache_key(CacheType type, const float* x, std::int64_t n, std::byte* page, std::int64_t slot);
/// `count` vectors of n elements, one after another, as floats.
void get_cache_vectors(CacheType type, const std::byte* from, std::int64_t count, std::int64_t n, float* x);

}  // namespace deepwell
