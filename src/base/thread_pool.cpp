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
      queues_(std::max<std::size_t>(1, plan_.memory_nodes.size())),
      used_(std::max(1, plan_.threads)) {
  DW_CHECK(nodes() <= kMostNodes);
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
  for (std::size_t n = 0; n < queues_.size(); ++n) {
    const auto first = static_cast<std::uint64_t>(bounds[n]), end = static_cast<std::uint64_t>(bounds[n + 1]);
    queues_[n].state.store(epoch_ << (2 * kTaskBits) | end << kTaskBits | first);
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

// Claims and does one task of the current loop, of the thread's own node if it has any left; false when no
// node has.
bool ThreadPool::take_part(int thread) {
  const std::size_t own =
      plan_.nodes.empty() ? 0 : static_cast<std::size_t>(plan_.nodes[static_cast<std::size_t>(thread)]);
  std::uint64_t state = 0;
  const auto claim = [&state](std::atomic<std::uint64_t>& word) {
    state = word.load(std::memory_order_acquire);
    while (next_task(state) < end_task(state))
      if (word.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel, std::memory_order_acquire))
        return true;
    return false;
  };
  std::size_t tried = 0;
  while (!claim(queues_[(own + tried) % queues_.size()].state))
    if (++tried == queues_.size()) return false;
  const Call call = call_.load(std::memory_order_relaxed);
  // A worker has nobody above it to catch: the loop's caller gets it.
  try {
    call(context_.load(std::memory_order_relaxed), static_cast<std::int64_t>(next_task(state)), thread);
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
