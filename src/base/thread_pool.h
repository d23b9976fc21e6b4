// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "base/thread_plan.h"

namespace deepwell {

/// Threads that share out the tasks of one loop at a time. The caller takes part, and a loop ends when its
/// tasks are done, not when every worker has come by: a worker that lost its core to another process costs
/// at most the one task it holds, and workers offer their cores between tasks before the system takes them.
/// Workers spin briefly for the next loop, then sleep. Each thread has a stretch of neighbouring tasks, which
/// it takes in order, as memory is read best, before it helps others from the ends of theirs. On a machine of
/// several NUMA nodes a node's tasks are shared out over its own threads, and these help each other first.
///
/// Threads   run() and use() are called by one thread at a time (the engine's).
class ThreadPool {
 public:
  explicit ThreadPool(int threads);  ///< the caller counts as one; at least 1
  explicit ThreadPool(ThreadPlan plan);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(queues_.size()); }
  int nodes() const { return static_cast<int>(members_.size()); }  ///< that tasks are shared out over
  /// Nodes over which weights are sliced, as the system numbers them: as many as nodes(), or none.
  const std::vector<int>& memory_nodes() const { return plan_.memory_nodes; }

  /// From now on only so many threads, 1 .. threads(), look for tasks; the others sleep. Returns how many
  /// did.
  int use(int threads);
  class Caller;  ///< keeps the thread that calls run() where the plan wants it

  /// Calls body(task, thread) for every task in [0, tasks), each once; thread is in [0, threads()).
  /// Requires tasks < 2^24. What a body throws (std::bad_alloc, where memory ends) is thrown here, on
  /// whichever thread it happened; of several the first, once no task runs any more.
  template <class Body>
  void run(std::int64_t tasks, Body&& body) {
    std::int64_t bounds[kMostNodes + 1];
    for (int n = 0; n <= nodes(); ++n) bounds[n] = tasks * n / nodes();
    run({bounds, static_cast<std::size_t>(nodes()) + 1}, body);
  }
  /// The same where it matters which node a task is for: those of node n are [bounds[n], bounds[n + 1]).
  /// Requires nodes() + 1 bounds, ascending from 0.
  template <class Body>
  void run(std::span<const std::int64_t> bounds, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    run_erased(
        bounds, const_cast<void*>(static_cast<const void*>(&body)),
        [](void* context, std::int64_t task, int thread) { (*static_cast<Plain*>(context))(task, thread); });
  }

 private:
  using Call = void (*)(void* context, std::int64_t task, int thread);
  void run_erased(std::span<const std::int64_t> bounds, void* context, Call call);
  void work(int thread);
  bool take_part(int thread);
  bool claim(int thread, std::int64_t& task);

  // One word names the loop and hands out a thread's tasks, so a claim can never reach into another loop:
  // epoch (16 bits) | end of the tasks (24 bits) | next task (24 bits).
  struct alignas(64) Queue {
    std::atomic<std::uint64_t> state{0};
  };
  ThreadPlan plan_;
  std::vector<Queue> queues_;              // of each thread
  std::vector<std::vector<int>> members_;  // of each node: its threads, ascending
  std::uint64_t epoch_ = 0;
  // Read only after a claim, which holds the loop open until the task is done.
  std::atomic<void*> context_{nullptr};
  std::atomic<Call> call_{nullptr};
  std::atomic<std::uint32_t> wake_{0};  // futex word: bumped when a loop starts
  std::atomic<int> sleepers_{0};
  std::atomic<int> used_;  // futex word, too: threads from this one on wait for it to grow
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
  alignas(64) std::atomic<std::int64_t> done_{0};  // apart: every worker writes it
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;  ///< the first; read after all tasks are done
};

/// Lives on the stack of the thread that calls run(). A thread that is started meanwhile inherits the place.
class ThreadPool::Caller {
 public:
  explicit Caller(const ThreadPool& pool);
  ~Caller();
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

 private:
  std::vector<int> before_;  // CPUs of this thread; empty: nothing was changed
};

}  // namespace deepwell
