// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <thread>
#include <vector>

namespace deepwell {

/// Threads that share out the tasks of one loop at a time. The caller takes part, and a loop ends when its
/// tasks are done, not when every worker has come by: a worker that lost its core to another process costs
/// at most the one task it holds, and workers offer their cores between tasks before the system takes them.
/// Workers spin briefly for the next loop, then sleep.
///
/// Threads   run() is called by one thread at a time (the engine's).
class ThreadPool {
 public:
  explicit ThreadPool(int threads);  ///< the caller counts as one; at least 1
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(task, thread) for every task in [0, tasks), each once; thread is in [0, threads()).
  /// Requires tasks < 2^24. What a body throws (std::bad_alloc, where memory ends) is thrown here, on
  /// whichever thread it happened; of several the first, once no task runs any more.
  template <class Body>
  void run(std::int64_t tasks, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    run_erased(
        tasks, const_cast<void*>(static_cast<const void*>(&body)),
        [](void* context, std::int64_t task, int thread) { (*static_cast<Plain*>(context))(task, thread); });
  }

 private:
  using Call = void (*)(void* context, std::int64_t task, int thread);
  void run_erased(std::int64_t tasks, void* context, Call call);
  void work(int thread);
  bool take_part(int thread, std::uint64_t& seen);

  // One word names the loop and hands out its tasks, so a claim can never reach into another loop:
  // epoch (16 bits) | number of tasks (24 bits) | next task (24 bits).
  std::atomic<std::uint64_t> state_{0};
  // Read only after a claim, which holds the loop open until the task is done.
  std::atomic<void*> context_{nullptr};
  std::atomic<Call> call_{nullptr};
  std::atomic<std::uint32_t> wake_{0};  // futex word: bumped when a loop starts
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
  alignas(64) std::atomic<std::int64_t> done_{0};  // apart: every worker writes it
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;  ///< the first; read after all tasks are done
};

}  // namespace deepwell
