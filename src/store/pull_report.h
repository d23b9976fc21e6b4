// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "store/store.h"

namespace deepwell {

/// Tells the caller of pull_model what happens, not more than ten times a second unless something changes.
class PullReport {
 public:
  explicit PullReport(const PullOptions& options) : options_(options) {}

  PullProgress now;

  /// A new step. False: the caller wants to stop.
  bool step(std::string name, std::string note = "") {
    now.step = std::move(name);
    now.note = std::move(note);
    return tell();
  }
  /// Still at it. False: the caller wants to stop.
  bool tick() {
    const auto time = std::chrono::steady_clock::now();
    if (time - told_ < std::chrono::milliseconds(100)) return !stopped_;
    return tell();
  }
  /// Waits, ticking. False: the caller wants to stop.
  bool wait(double seconds);

  const PullOptions& options() const { return options_; }

 private:
  bool tell() {
    told_ = std::chrono::steady_clock::now();
    if (!stopped_ && options_.progress) stopped_ = !options_.progress(now);
    return !stopped_;
  }

  const PullOptions& options_;
  std::chrono::steady_clock::time_point told_{};
  bool stopped_ = false;
};

/// Calls `attempt` until it succeeds, fails for good (any code but kIo) or has failed options.attempts times
/// without `progress_made` growing in between. Waits longer each time.
template <class Attempt, class Made>
auto with_retries(PullReport& report, const Made& progress_made, const Attempt& attempt)
    -> decltype(attempt()) {
  int failures = 0;
  auto before = progress_made();
  double wait = report.options().backoff_seconds;
  const std::string step = report.now.step;
  while (true) {
    auto result = attempt();
    if (result.ok() || result.error().code != ErrorCode::kIo) return result;
    if (progress_made() != before) {
      failures = 0;
      wait = report.options().backoff_seconds;
      before = progress_made();
    }
    if (++failures >= report.options().attempts) return result;
    if (!report.step("retrying", result.error().message) || !report.wait(wait))
      return Error{ErrorCode::kCancelled, "stopped"};
    report.now.step = step;
    report.now.note.clear();
    wait = wait * 2 < 30 ? wait * 2 : 30;
  }
}

}  // namespace deepwell
