// SPDX-License-Identifier: Apache-2.0
#include "base/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"
#include "base/topology.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace deepwell {
namespace {

constexpr int kTaskBits = 24;
constexpr std::uint64_t kTaskMask = (std::uint64_t{1} << kTaskBits) - 1;
// About 30 microseconds: longer than the gaps inside a step, shorter than anybody would notice in power.
constexpr int kSpins = 2000;
// Where another process wants the core, the system takes it from whoever has had it for its slice (1.4 ms or
// more), in the middle of a task, and then the whole loop waits until it comes back. Who offers the core
// before that, between tasks, is not interrupted; nobody waits for it, and with nobody there it goes on at
// once.
constexpr auto kTurn = std::chrono::milliseconds(1);

std::uint64_t next_task(std::uint64_t state) { return state & kTaskMask; }
std::uint64_t epoch_of(std::uint64_t state) { return state >> (2 * kTaskBits); }
std::uint64_t end_task(std::uint64_t state) { return (state >> kTaskBits) & kTaskMask; }

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) : ThreadPool(ThreadPlan{.threads = threads}) {}

ThreadPool::ThreadPool(ThreadPlan plan)
    : plan_(std::move(plan)),
      queues_(static_cast<std::size_t>(std::max(1, plan_.threads))),
      members_(std::max<std::size_t>(1, plan_.memory_nodes.size())),
      used_(std::max(1, plan_.threads)) {
  DW_CHECK(nodes() <= kMostNodes);
  if (plan_.nodes.empty()) plan_.nodes.assign(queues_.size(), 0);
  DW_CHECK(plan_.nodes.size() == queues_.size());
  for (std::size_t i = 0; i < queues_.size(); ++i)
    members_[static_cast<std::size_t>(plan_.nodes[i])].push_back(static_cast<int>(i));
  for (const std::vector<int>& threads : members_) DW_CHECK(!threads.empty());
  for (int i = 1; i < plan_.threads; ++i) workers_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  use(threads());
  wake_.fetch_add(1);
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

int ThreadPool::use(int threads) {
  DW_CHECK(threads >= 1 && threads <= this->threads());
  const int before = used_.exchange(threads);
  if (before < threads) used_.notify_all();
  return before;
}

// A system that refuses (the CPU went offline, or a container forbids it) leaves a thread where it is.
ThreadPool::Caller::Caller(const ThreadPool& pool) {
  if (pool.plan_.cpus.empty()) return;
  before_ = allowed_cpus();
  keep_to_cpus({pool.plan_.cpus.front()});
}

ThreadPool::Caller::~Caller() {
  if (!before_.empty()) keep_to_cpus(before_);
}

void ThreadPool::run_erased(std::span<const std::int64_t> bounds, void* context, Call call) {
  DW_CHECK(std::ssize(bounds) == nodes() + 1 && bounds.front() == 0);
  const std::int64_t tasks = bounds.back();
  if (tasks <= 0) return;
  DW_CHECK(tasks <= static_cast<std::int64_t>(kTaskMask));
  if (tasks == 1 || used_.load(std::memory_order_relaxed) == 1) {
    for (std::int64_t task = 0; task < tasks; ++task) call(context, task, 0);
    return;
  }
  context_.store(context, std::memory_order_relaxed);
  call_.store(call, std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  epoch_ = (epoch_ + 1) & 0xffff;
  for (std::size_t n = 0; n < members_.size(); ++n) {
    const std::vector<int>& threads = members_[n];
    const auto looking = std::lower_bound(threads.begin(), threads.end(), used_.load()) - threads.begin();
    // Where none of a node's threads looks for tasks, others take them from its first.
    const std::int64_t parts = std::max<std::int64_t>(1, looking), all = bounds[n + 1] - bounds[n];
    for (std::int64_t i = 0; i < parts; ++i) {
      const auto first = static_cast<std::uint64_t>(bounds[n] + all * i / parts);
      const auto end = static_cast<std::uint64_t>(bounds[n] + all * (i + 1) / parts);
      queues_[static_cast<std::size_t>(threads[static_cast<std::size_t>(i)])].state.store(
          epoch_ << (2 * kTaskBits) | end << kTaskBits | first, std::memory_order_release);
    }
  }
  wake_.fetch_add(1);
  if (sleepers_.load() > 0) wake_.notify_all();

  while (take_part(0)) {
  }
  // What is left is held by workers right now; if one lost its core, do not burn ours for long.
  for (int spins = 0; done_.load(std::memory_order_acquire) != tasks; ++spins) {
    if (spins < kSpins)
      pause();
    else
      std::this_thread::yield();
  }
  if (failed_.exchange(false)) std::rethrow_exception(std::exchange(failure_, nullptr));
}

/// Claims a task: the next of the thread's own, or the last of another's, of its node if there is one. Who
/// has not got its own tasks of a loop yet leaves those of others alone: they are being handed out just now.
bool ThreadPool::claim(int thread, std::int64_t& task) {
  std::uint64_t epoch = 0;  // of the loop that the thread's own tasks were of
  const auto try_queue = [&](int of, bool last) {
    std::atomic<std::uint64_t>& word = queues_[static_cast<std::size_t>(of)].state;
    std::uint64_t state = word.load(std::memory_order_acquire);
    if (!last) epoch = epoch_of(state);
    while (epoch_of(state) == epoch && next_task(state) < end_task(state)) {
      const std::uint64_t claimed = last ? state - (std::uint64_t{1} << kTaskBits) : state + 1;
      if (!word.compare_exchange_weak(state, claimed, std::memory_order_acq_rel, std::memory_order_acquire))
        continue;
      task = static_cast<std::int64_t>(last ? end_task(claimed) : next_task(state));
      return true;
    }
    return false;
  };
  if (try_queue(thread, false)) return true;
  const auto node_of = [&](int of) { return plan_.nodes[static_cast<std::size_t>(of)]; };
  for (const bool near : {true, false})
    for (int i = 1; i < threads(); ++i) {
      const int other = (thread + i) % threads();
      if ((node_of(other) == node_of(thread)) == near && try_queue(other, true)) return true;
    }
  return false;
}

/// Does one task of the current loop; false when none is left to claim.
bool ThreadPool::take_part(int thread) {
  std::int64_t task = 0;
  if (!claim(thread, task)) return false;
  const Call call = call_.load(std::memory_order_relaxed);
  // A worker has nobody above it to catch: the loop's caller gets it.
  try {
    call(context_.load(std::memory_order_relaxed), task, thread);
  } catch (...) {
    if (!failed_.exchange(true, std::memory_order_relaxed)) failure_ = std::current_exception();
  }
  done_.fetch_add(1, std::memory_order_acq_rel);
  return true;
}

void ThreadPool::work(int thread) {
  if (!plan_.cpus.empty()) keep_to_cpus({plan_.cpus[static_cast<std::size_t>(thread)]});
  auto turn = std::chrono::steady_clock::now();
  for (;;) {
    for (int used = used_.load(); thread >= used; used = used_.load()) used_.wait(used);
    const std::uint32_t ticket = wake_.load(std::memory_order_acquire);
    while (take_part(thread)) {
      if (std::chrono::steady_clock::now() - turn < kTurn) continue;
      std::this_thread::yield();
      turn = std::chrono::steady_clock::now();
    }
    if (stop_.load(std::memory_order_relaxed)) return;
    int spins = 0;
    while (wake_.load(std::memory_order_acquire) == ticket && spins < kSpins) {
      pause();
      ++spins;
    }
    if (spins == kSpins) {
      sleepers_.fetch_add(1);
      wake_.wait(ticket);
      sleepers_.fetch_sub(1);
    }
  }
}

}  // namespace deepwell
