// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

namespace deepwell {

/// cgroup_cpu_quota() where /proc and /sys lie below `root`.
std::optional<double> cgroup_cpu_quota_below(const std::string& root);

}  // namespace deepwell
