// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <thread>

namespace deepwell::testing_support {

/// How long a test waits for what must happen: far longer than it takes, for machines with much else to do.
inline constexpr std::chrono::seconds kPatience{60};

/// Whether the condition comes true. Tests wait for events with it, never for a time.
template <class Condition>
bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace deepwell::testing_support
