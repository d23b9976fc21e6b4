// SPDX-License-Identifier: Apache-2.0
// Goal: every task of every loop runs exactly once, on a thread number inside the range, and what tasks wrote
// is there when run() returns.
// Method: loops of many sizes on 1 to 64 threads, thousands of tiny loops back to back (claims of one loop
// must not reach into the next), loops after pauses long enough for the workers to sleep.
#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <new>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "base/topology.h"

namespace deepwell {
namespace {

TEST(ThreadPool, CallsEveryTaskOnceWhateverTheNumberOfThreads) {
  for (const int threads : {1, 2, 3, 7, 64}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const std::int64_t tasks : {0, 1, 2, 3, 63, 64, 65, 5000}) {
      std::vector<std::atomic<int>> calls(static_cast<std::size_t>(tasks));
      std::atomic<bool> thread_in_range{true};
      pool.run(tasks, [&](std::int64_t task, int thread) {
        calls[static_cast<std::size_t>(task)].fetch_add(1);
        if (thread < 0 || thread >= threads) thread_in_range = false;
      });
      for (const auto& count : calls) ASSERT_EQ(count.load(), 1) << threads << " threads, " << tasks;
      EXPECT_TRUE(thread_in_range);
    }
  }
}

TEST(ThreadPool, WhatATaskThrowsReachesTheCallerAndThePoolGoesOn) {
  for (const int threads : {1, 4}) {
    ThreadPool pool(threads);
    for (int loop = 0; loop < 200; ++loop) {
      std::atomic<int> calls{0};
      EXPECT_THROW(pool.run(64,
                            [&](std::int64_t task, int) {
                              calls.fetch_add(1);
                              if (task % 5 == 0) throw std::bad_alloc();
                            }),
                   std::bad_alloc);
      if (threads > 1) {
        EXPECT_EQ(calls, 64) << "no task still runs";
      }
      std::atomic<int> after{0};
      pool.run(64, [&](std::int64_t, int) { after.fetch_add(1); });
      EXPECT_EQ(after, 64);
    }
  }
}

TEST(ThreadPool, NoTwoThreadsShareANumberAtTheSameTime) {
  ThreadPool pool(4);
  std::vector<std::atomic<int>> inside(4);
  std::atomic<bool> shared{false};
  for (int loop = 0; loop < 200; ++loop)
    pool.run(64, [&](std::int64_t, int thread) {
      if (inside[static_cast<std::size_t>(thread)].fetch_add(1) != 0) shared = true;
      inside[static_cast<std::size_t>(thread)].fetch_sub(1);
    });
  EXPECT_FALSE(shared);
}

// Plain (not atomic) data: under ThreadSanitizer this also shows that run() orders writes before its return,
// and the caller's writes between loops before the next loop's reads.
TEST(ThreadPool, ThousandsOfTinyLoopsEachSeeTheOneBefore) {
  for (const int threads : {2, 5}) {
    ThreadPool pool(threads);
    std::vector<std::int64_t> values(8, 0);
    for (int loop = 0; loop < 20000; ++loop) {
      const std::int64_t before = std::accumulate(values.begin(), values.end(), std::int64_t{0});
      ASSERT_EQ(before, std::int64_t{loop} * 8);
      pool.run(8, [&values](std::int64_t task, int) { values[static_cast<std::size_t>(task)] += 1; });
    }
  }
}

TEST(ThreadPool, LoopsOfChangingSizesKeepTheirTasksApart) {
  ThreadPool pool(3);
  for (int loop = 0; loop < 5000; ++loop) {
    const std::int64_t tasks = 1 + loop % 17;
    std::vector<int> mine(static_cast<std::size_t>(tasks), 0);  // gone after the loop: a late task would show
    pool.run(tasks, [&mine](std::int64_t task, int) { mine[static_cast<std::size_t>(task)] += 1; });
    for (int count : mine) ASSERT_EQ(count, 1);
  }
}

TEST(ThreadPool, NestedDataIsWhole) {
  ThreadPool pool(4);
  std::vector<std::vector<std::int64_t>> rows(100);
  pool.run(100, [&](std::int64_t task, int) {
    auto& row = rows[static_cast<std::size_t>(task)];
    for (std::int64_t i = 0; i <= task; ++i) row.push_back(i);
  });
  std::vector<std::int64_t> sums(100, 0);
  pool.run(100, [&](std::int64_t task, int) {
    const auto& row = rows[static_cast<std::size_t>(99 - task)];
    sums[static_cast<std::size_t>(99 - task)] = std::accumulate(row.begin(), row.end(), std::int64_t{0});
  });
  for (std::int64_t i = 0; i < 100; ++i) EXPECT_EQ(sums[static_cast<std::size_t>(i)], i * (i + 1) / 2);
}

TEST(ThreadPool, WakesWorkersThatSleep) {
  ThreadPool pool(3);
  for (int loop = 0; loop < 30; ++loop) {
    std::this_thread::sleep_for(std::chrono::milliseconds(loop % 3));  // spinning ends within a millisecond
    std::mutex mutex;
    std::set<int> took_part;
    pool.run(3, [&](std::int64_t, int thread) {
      {
        const std::lock_guard lock(mutex);
        took_part.insert(thread);
      }
      // No thread can take two: the others must have woken.
      for (;;) {
        {
          const std::lock_guard lock(mutex);
          if (took_part.size() == 3) return;
        }
        std::this_thread::yield();
      }
    });
    EXPECT_EQ(took_part.size(), 3U);
  }
}

// Threads 0 and 2 on the first of two nodes, 1 and 3 on the other.
ThreadPlan two_nodes() { return {.threads = 4, .nodes = {0, 1, 0, 1}, .memory_nodes = {0, 1}}; }

TEST(ThreadPool, SharesTasksOutOverNodes) {
  ThreadPool pool(two_nodes());
  EXPECT_EQ(pool.nodes(), 2);
  for (int loop = 0; loop < 2000; ++loop) {
    const std::int64_t first = loop % 7, tasks = first + loop % 5;  // at times a node has none
    std::vector<int> calls(static_cast<std::size_t>(tasks), 0);
    const std::int64_t bounds[] = {0, first, tasks};
    pool.run(bounds, [&](std::int64_t task, int) { calls[static_cast<std::size_t>(task)] += 1; });
    EXPECT_EQ(std::count(calls.begin(), calls.end(), 1), tasks);
    std::atomic<int> plain{0};
    pool.run(tasks, [&](std::int64_t, int) { plain.fetch_add(1); });
    EXPECT_EQ(plain, tasks);
  }
}

TEST(ThreadPool, ThreadsTakeTheirOwnNodesTasksFirst) {
  ThreadPool pool(two_nodes());
  int strangers = 0;
  for (int loop = 0; loop < 100; ++loop) {
    std::atomic<int> inside{0};
    int thread_of[4] = {};
    const std::int64_t bounds[] = {0, 2, 4};
    pool.run(bounds, [&](std::int64_t task, int thread) {
      thread_of[task] = thread;
      inside.fetch_add(1);
      while (inside.load() < 4) std::this_thread::yield();  // nobody can take two
    });
    for (int task = 0; task < 4; ++task) strangers += thread_of[task] % 2 != task / 2;
  }
  // A worker that looks just while a loop begins may find one node's tasks before its own.
  EXPECT_LE(strangers, 20);
}

TEST(ThreadPool, HelpsAnotherNodeThatIsSlow) {
  ThreadPool pool(two_nodes());
  std::mutex mutex;
  std::set<int> helped;
  const std::int64_t bounds[] = {0, 0, 4};
  pool.run(bounds, [&](std::int64_t, int thread) {
    for (bool all = false; !all; std::this_thread::yield()) {
      const std::lock_guard lock(mutex);
      helped.insert(thread);
      all = helped.size() == 4;
    }
  });
  EXPECT_EQ(helped.size(), 4U);
}

TEST(ThreadPool, UsesFewerThreadsAndMoreAgain) {
  ThreadPool pool(4);
  for (int round = 0; round < 3; ++round) {
    pool.use(2);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // whoever looked for work has gone to sleep
    std::atomic<int> highest{0};
    for (int loop = 0; loop < 200; ++loop)
      pool.run(16, [&](std::int64_t, int thread) {
        int seen = highest.load();
        while (seen < thread && !highest.compare_exchange_weak(seen, thread)) {
        }
      });
    EXPECT_LE(highest, 1);
    EXPECT_EQ(pool.use(4), 2);
    std::atomic<int> inside{0};
    pool.run(4, [&](std::int64_t, int) {
      inside.fetch_add(1);
      while (inside.load() < 4) std::this_thread::yield();
    });
    EXPECT_EQ(inside, 4);
    pool.use(1);
    pool.run(3, [](std::int64_t, int thread) { EXPECT_EQ(thread, 0); });
  }
}

TEST(ThreadPool, PlacesWhatItCanAndRunsWhereItCannot) {
  const int last = machine_topology().cpus.back().id;
  ThreadPool pool(ThreadPlan{.threads = 3, .cpus = {last, last, 60000}});  // the third is nowhere
  std::atomic<int> inside{0}, placed{0};
  const std::vector<int> before = allowed_cpus();
  {
    const ThreadPool::Caller caller(pool);
    pool.run(3, [&](std::int64_t, int thread) {
      inside.fetch_add(1);
      if (thread < 2) placed += allowed_cpus() == std::vector<int>{last} ? 1 : 0;
      while (inside.load() < 3) std::this_thread::yield();
    });
  }
  EXPECT_EQ(allowed_cpus(), before);
  EXPECT_EQ(inside, 3);
  EXPECT_EQ(placed, 2);
}

TEST(ThreadPool, ComesAndGoesWithoutWork) {
  for (int i = 0; i < 50; ++i) ThreadPool pool(1 + i % 9);
}

TEST(ThreadPool, RunsTasksInOrderOnOneThread) {
  ThreadPool pool(1);
  std::vector<std::int64_t> order;
  pool.run(100, [&](std::int64_t task, int thread) {
    EXPECT_EQ(thread, 0);
    order.push_back(task);
  });
  std::vector<std::int64_t> want(100);
  std::iota(want.begin(), want.end(), 0);
  EXPECT_EQ(order, want);
}

}  // namespace
}  // namespace deepwell
