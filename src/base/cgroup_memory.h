// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

namespace deepwell {

/// Bytes that the cgroups still allow (memory cgroup v2 or v1; the strictest on the way up), counting what
/// the file cache would give back, or nothing when unlimited.
std::optional<std::int64_t> cgroup_memory_left();

}  // namespace deepwell
