// SPDX-License-Identifier: Apache-2.0
#include "base/memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "base/cgroup_memory.h"

namespace deepwell {

std::int64_t available_memory_bytes() {
  std::ifstream meminfo("/proc/meminfo");
  std::string name;
  std::int64_t kib = 0;
  while (meminfo >> name >> kib) {
    if (name == "MemAvailable:") return std::min(kib * 1024, cgroup_memory_left().value_or(kib * 1024));
    meminfo.ignore(64, '\n');
  }
  return 0;
}

std::int64_t resident_memory_bytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

}  // namespace deepwell
