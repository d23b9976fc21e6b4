// SPDX-License-Identifier: Apache-2.0
#include "store/pull_report.h"

#include <thread>

namespace deepwell {

bool PullReport::wait(double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
    if (!tick()) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return true;
}

}  // namespace deepwell
