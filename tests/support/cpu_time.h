// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ctime>

namespace deepwell::testing_support {

/// Seconds that this process has computed so far: what else the machine does is not in them.
inline double cpu_seconds() {
  std::timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace deepwell::testing_support
