// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace deepwell {

/// Tokens a second over about the last ten seconds.
class TokenRate {
 public:
  using Clock = std::chrono::steady_clock;

  void add(std::int64_t tokens, Clock::time_point now) {
    Second& second = seconds_[slot(number(now))];
    if (second.number != number(now)) second = {number(now), 0};
    second.tokens += tokens;
  }
  double per_second(Clock::time_point now) const {
    std::int64_t sum = 0;
    for (const Second& second : seconds_)
      if (second.number < number(now) && second.number >= number(now) - kSeconds) sum += second.tokens;
    return static_cast<double>(sum) / kSeconds;
  }

 private:
  static constexpr std::int64_t kSeconds = 10;  // whole ones: the one under way does not count yet
  struct Second {
    std::int64_t number = -1, tokens = 0;
  };
  static std::int64_t number(Clock::time_point time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  }
  static std::size_t slot(std::int64_t number) { return static_cast<std::size_t>(number % (kSeconds + 1)); }

  std::array<Second, kSeconds + 1> seconds_{};
};

}  // namespace deepwell
