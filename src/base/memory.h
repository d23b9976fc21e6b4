// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace deepwell {

/// Memory that can be had without swapping, as far as the cgroup allows; 0 when the system does not tell.
std::int64_t available_memory_bytes();
/// Memory this process has in RAM.
std::int64_t resident_memory_bytes();

}  // namespace deepwell
