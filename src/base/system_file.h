// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

namespace deepwell {

/// The first 4096 bytes of a file of /proc, /sys or a cgroup; nothing when it cannot be read.
std::optional<std::string> read_system_file(const std::string& path);

}  // namespace deepwell
