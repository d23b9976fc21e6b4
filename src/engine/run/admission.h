// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "engine/run/promises.h"
#include "engine/run/shared_state.h"

namespace deepwell {

/// How requests get in, and out again: checked and bounded on the threads that bring them, then known to the
/// engine until they are over. Who finds the queue full is promised a place in it for later; who waits in it
/// hears now and then where they stand.
class Admission {
 public:
  /// All outlive it.
  Admission(const EngineOptions& options, const EngineInfo& info, SharedState& shared)
      : options_(options), info_(info), shared_(shared) {}

  // Any thread.

  Result<std::uint64_t> submit(EngineRequest request, std::shared_ptr<TokenSink> sink);  ///< see Engine
  void cancel(std::uint64_t request);
  /// Has the engine's thread do something between two steps, before it stops at the latest.
  void post(std::function<void()> errand);
  void stop();

  // The engine's thread.

  /// Sleeps until there is something to do, but first calls `in_spare_time` for as long as that says true.
  /// False: stop() was called.
  bool wait(const std::function<bool()>& in_spare_time);
  void run_errands();
  /// Whether somebody came since this was last asked.
  bool somebody_came() { return came_.exchange(false, std::memory_order_relaxed); }
  /// One that was cancelled, or is past its deadline.
  struct Over {
    Sequence* sequence;
    FinishReason reason;
  };
  std::optional<Over> next_over();
  Sequence* oldest();  ///< nullptr: nobody is left
  /// Tells those who wait beside `running`, about once a second; those far from their turn less often.
  void tell_places(std::span<Sequence* const> running);
  /// With the lock held: it is over.
  std::unique_ptr<Sequence> release(const Sequence& sequence);

 private:
  Status check(const EngineRequest& request) const;
  bool may_wait(const EngineRequest& request);

  const EngineOptions& options_;
  const EngineInfo& info_;
  SharedState& shared_;
  std::condition_variable wake_;
  std::atomic<bool> came_{false};
  Clock::time_point looked_{};  // the engine thread's own

  // Guarded by the lock, too.
  std::map<std::uint64_t, std::unique_ptr<Sequence>> all_;
  std::vector<std::uint64_t> cancelled_;
  std::set<std::pair<Clock::time_point, std::uint64_t>> deadlines_;
  std::vector<std::function<void()>> errands_;
  Promises promises_;
  std::uint64_t last_id_ = 0;
  bool stop_ = false;
};

}  // namespace deepwell
