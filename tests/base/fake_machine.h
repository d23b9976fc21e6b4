// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <string>

#include "support/temp_dir.h"

namespace deepwell {

/// A folder with the files of /sys and /proc that tell of a machine's CPUs.
class FakeMachine {
 public:
  std::string root() const { return folder_.path().string(); }
  void file(const std::string& path, const std::string& text) {
    folder_.write(std::filesystem::path(path).lexically_normal().string(), text);
  }
  /// A file below /sys/devices/system.
  void set(const std::string& path, const std::string& text) { file("sys/devices/system/" + path, text); }
  void cpu(int id, int socket, const std::string& siblings) {
    set(fmt::format("cpu/cpu{}/topology/thread_siblings_list", id), siblings);
    set(fmt::format("cpu/cpu{}/topology/physical_package_id", id), std::to_string(socket));
  }
  /// The process's affinity.
  void allow(const std::string& cpus) {
    file("proc/self/status", "Name:\tx\nCpus_allowed_list:\t" + cpus + "\n");
  }

 private:
  testing_support::TempDir folder_;
};

}  // namespace deepwell
