// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace deepwell {

/// Tells that files were changed or replaced. Make it before reading them, so that no change is missed.
class FileWatch {
 public:
  using Clock = std::chrono::steady_clock;
  explicit FileWatch(std::vector<std::string> paths);
  /// Whether they differ from the last time it said so. Looks at the disk at most twice a second.
  bool changed(Clock::time_point now = Clock::now());

 private:
  struct Mark {
    std::int64_t modified_ns = 0, bytes = -1;  ///< -1: no such file
    std::uint64_t inode = 0;
    bool operator==(const Mark&) const = default;
  };
  std::vector<Mark> look() const;

  std::vector<std::string> paths_;
  std::vector<Mark> seen_;
  Clock::time_point looked_;
};

}  // namespace deepwell
