// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

/// Numbers of Engram's hashes that checkpoints do not store: they follow from config.json.
namespace deepwell::engram_hash {

/// `count` odd numbers for a layer: what numpy's default_rng(10007 * layer) draws for ids below `ids`, so
/// that no product with one is above 2^63. Requires 1 <= ids <= kMostIds.
std::vector<std::int64_t> multipliers(std::int64_t layer, std::int64_t count, std::int64_t ids);
inline constexpr std::int64_t kMostIds = std::int64_t{1} << 28;

/// `groups` times `heads` primes: each group's are the next ones from `least` on that no group before it has.
std::vector<std::int64_t> primes(std::int64_t groups, std::int64_t heads, std::int64_t least);

}  // namespace deepwell::engram_hash
