// SPDX-License-Identifier: Apache-2.0
#include "base/thread_pool.h"

#include <chrono>
#include <utility>

#include "base/check.h"

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
std::uint64_t task_count(std::uint64_t state) { return (state >> kTaskBits) & kTaskMask; }
std::uint64_t epoch(std::uint64_t state) { return state >> (2 * kTaskBits); }

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  wake_.fetch_add(1);
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run_erased(std::int64_t tasks, void* context, Call call) {
  if (tasks <= 0) return;
  DW_CHECK(tasks <= static_cast<std::int64_t>(kTaskMask));
  if (tasks == 1 || workers_.empty()) {
    for (std::int64_t task = 0; task < tasks; ++task) call(context, task, 0);
    return;
  }
  context_.store(context, std::memory_order_relaxed);
  call_.store(call, std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  const std::uint64_t next_epoch = (epoch(state_.load(std::memory_order_relaxed)) + 1) & 0xffff;
  state_.store(next_epoch << (2 * kTaskBits) | static_cast<std::uint64_t>(tasks) << kTaskBits);
  wake_.fetch_add(1);
  if (sleepers_.load() > 0) wake_.notify_all();

  std::uint64_t seen = 0;
  while (take_part(0, seen)) {
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

// Claims and does one task of the current loop; false when it has none left. `seen` returns the epoch.
bool ThreadPool::take_part(int thread, std::uint64_t& seen) {
  std::uint64_t state = state_.load(std::memory_order_acquire);
  for (;;) {
    seen = epoch(state);
    if (next_task(state) >= task_count(state)) return false;
    if (state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel, std::memory_order_acquire))
      break;
  }
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
  std::uint64_t seen = 0;
  auto turn = std::chrono::steady_clock::now();
  for (;;) {
    const std::uint32_t ticket = wake_.load(std::memory_order_acquire);
    while (take_part(thread, seen)) {
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
