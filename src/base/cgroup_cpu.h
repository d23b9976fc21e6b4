// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

namespace deepwell {

/// CPUs the cgroups allow (cgroup v2 cpu.max or v1 cfs quota; the strictest on the way up), where /proc and
/// /sys lie below `root`; nothing when unlimited.
std::optional<double> cgroup_cpu_quota(const std::string& root);

}  // namespace deepwell
