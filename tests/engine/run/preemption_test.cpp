// SPDX-License-Identifier: Apache-2.0
// Goal: sequences that outgrow the pool, or stand in a better claim's way, are put aside and go on later with
// the same bits, whether their pages waited in memory, in a file or were forgotten; nothing is lost.
// Method: pools far too small for what runs, against an engine with room for all.
#include <sys/resource.h>

#include <fstream>

#include "tiny_engine.h"

namespace deepwell {
namespace {

using namespace testing_support;
using Tokens = std::vector<std::int32_t>;

std::vector<EngineRequest> long_requests() {
  std::vector<EngineRequest> requests;
  for (std::uint64_t i = 0; i < 12; ++i) {
    requests.push_back(request_of(some_prompt(20 + i * 9, i), 200 + static_cast<std::int64_t>(i) * 10, i));
    requests.back().account = i % 3 == 0 ? "ann" : "bob";
  }
  return requests;
}

std::vector<Tokens> answers(Engine& engine) {
  std::vector<std::shared_ptr<NotingSink>> sinks;
  for (EngineRequest& request : long_requests()) {
    sinks.push_back(std::make_shared<NotingSink>());
    EXPECT_TRUE(engine.submit(std::move(request), sinks.back()).ok());
  }
  std::vector<Tokens> all;
  for (const auto& sink : sinks) {
    EXPECT_EQ(sink->wait().reason, FinishReason::kLength);
    EXPECT_EQ(sink->finishes(), 1);
    all.push_back(sink->tokens());
  }
  return all;
}

TEST(Preemption, AFullPoolDelaysButLosesNothingAndChangesNoBit) {
  const auto roomy = tiny_engine();
  const std::vector<Tokens> expected = answers(*roomy);
  EXPECT_EQ(settled(*roomy).swapped_bytes, 0);
  const TempDir temp;
  struct Case {
    const char* what;
    std::int64_t swap_bytes;
    std::string folder;
    bool prefix_cache, swaps;
  };
  for (const Case& one :
       {Case{"in memory", -1, "", true, true}, Case{"in memory, no prefixes", -1, "", false, true},
        Case{"in a file", 0, temp.path().string(), true, true},
        Case{"some of it in a file", 100'000, temp.path().string(), true, true},
        Case{"nowhere", 0, "/nonexistent", true, false},
        Case{"nowhere, no prefixes", 0, "/nonexistent", false, false}}) {
    SCOPED_TRACE(one.what);
    EngineOptions options;
    options.cache_bytes = 1;  // one context
    options.swap_bytes = one.swap_bytes;
    options.swap_dir = one.folder;
    options.prefix_cache = one.prefix_cache;
    const auto engine = tiny_engine(options);
    EXPECT_EQ(answers(*engine), expected);
    const EngineStats stats = settled(*engine);
    EXPECT_EQ(stats.pages_used, 0);
    EXPECT_GT(stats.preemptions, 0);
    EXPECT_EQ(stats.swapped_bytes > 0, one.swaps);
  }
  EXPECT_TRUE(std::filesystem::is_empty(temp.path())) << "the file has no name";
}

TEST(Preemption, CancelledWhilePutAsideLeavesNothing) {
  EngineOptions options;
  options.cache_bytes = 1;
  const auto engine = tiny_engine(options);
  std::vector<std::shared_ptr<NotingSink>> sinks;
  std::vector<std::uint64_t> ids;
  for (EngineRequest& request : long_requests()) {
    sinks.push_back(std::make_shared<NotingSink>());
    ids.push_back(*engine->submit(std::move(request), sinks.back()));
  }
  while (engine->stats().preemptions == 0) std::this_thread::yield();
  for (std::size_t i = 1; i < ids.size(); ++i) engine->cancel(ids[i]);
  for (const auto& sink : sinks) sink->wait();
  const EngineStats stats = settled(*engine);
  EXPECT_EQ(stats.pages_used, 0);
  EXPECT_EQ(stats.waiting, 0);
}

TEST(Shares, ALightAccountDoesNotWaitForAHeavyOne) {
  EngineOptions options;
  options.parallel = 4;
  const auto engine = tiny_engine(options);
  std::vector<std::shared_ptr<NotingSink>> heavy;
  Gate gate;
  for (std::uint64_t i = 0; i < 16; ++i) {
    EngineRequest request = request_of(some_prompt(10, i), 400);
    request.account = "heavy";
    heavy.push_back(std::make_shared<NotingSink>());
    if (i == 0)
      heavy[0]->go_on = [&](std::size_t count) {
        if (count == 5) gate.pass();
        return true;
      };
    ASSERT_TRUE(engine->submit(std::move(request), heavy.back()).ok());
  }
  gate.wait_until_reached();
  EngineRequest request = request_of(some_prompt(10, 99), 20);
  request.account = "light";
  const auto light = std::make_shared<NotingSink>();
  int ended = 0;  // of the heavy ones, before the light one's last token
  light->go_on = [&](std::size_t count) {
    if (count == 20)
      for (const auto& sink : heavy) ended += sink->finishes();
    return true;
  };
  ASSERT_TRUE(engine->submit(std::move(request), light).ok());
  gate.let_go();
  EXPECT_EQ(light->wait().reason, FinishReason::kLength);
  EXPECT_EQ(ended, 0) << "it had a place at once";
  for (const auto& sink : heavy) EXPECT_EQ(sink->wait().generated_tokens, 400);
}

TEST(Shares, PriorityGoesBeforeAll) {
  EngineOptions options;
  options.parallel = 1;
  const auto engine = tiny_engine(options);
  std::mutex mutex;
  std::vector<int> order;
  std::vector<std::shared_ptr<NotingSink>> sinks;
  Gate gate;
  const auto submit = [&](int number, int priority, std::int64_t tokens) {
    EngineRequest request = request_of(some_prompt(10, static_cast<std::uint64_t>(number)), tokens);
    request.priority = priority;
    const auto sink = std::make_shared<NotingSink>();
    sink->go_on = [&, number, tokens](std::size_t count) {
      gate.pass();
      if (static_cast<std::int64_t>(count) == tokens) {
        const std::lock_guard lock(mutex);
        order.push_back(number);
      }
      return true;
    };
    sinks.push_back(sink);
    EXPECT_TRUE(engine->submit(std::move(request), sink).ok());
  };
  submit(0, 5, 400);
  gate.wait_until_reached();
  submit(1, 5, 20);
  submit(2, 0, 20);
  submit(3, 9, 20);
  gate.let_go();
  for (const auto& sink : sinks) sink->wait();
  EXPECT_EQ(order, (std::vector<int>{2, 0, 1, 3}));
}

TEST(Deadlines, EndWhatWaits) {
  EngineOptions options;
  options.parallel = 1;
  options.draft_tokens = 0;  // a step a token
  const auto engine = tiny_engine(options);
  const auto running = std::make_shared<NotingSink>(), late = std::make_shared<NotingSink>();
  EngineRequest waiting = request_of(some_prompt(10, 2), 400);
  Gate gate;
  running->go_on = [&](std::size_t count) {
    if (count == 1) {
      gate.pass();
      std::this_thread::sleep_until(*waiting.deadline);
    }
    if (count == 2) {
      EXPECT_EQ(late->finishes(), 1) << "between two steps";
    }
    return true;
  };
  ASSERT_TRUE(engine->submit(request_of(some_prompt(10, 1), 20), running).ok());
  gate.wait_until_reached();
  waiting.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
  ASSERT_TRUE(engine->submit(waiting, late).ok());
  gate.let_go();
  EXPECT_EQ(late->wait().reason, FinishReason::kDeadline);
  EXPECT_EQ(late->tokens().size(), 0U);
  EXPECT_EQ(running->wait().reason, FinishReason::kLength);
  EXPECT_EQ(settled(*engine).pages_used, 0);
}

TEST(Deadlines, EndWhatRuns) {
  const auto engine = tiny_engine();
  FinishInfo info{};
  // A deadline that passes before a busy machine has computed a token says nothing: then a longer one.
  for (std::chrono::milliseconds patience{20}; info.generated_tokens == 0 && patience < kPatience;
       patience *= 2) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    const auto sink = std::make_shared<NotingSink>();
    sink->go_on = [&](std::size_t) {
      std::this_thread::sleep_until(deadline);
      return true;
    };
    EngineRequest request = request_of(some_prompt(10, 1), 400);
    request.deadline = deadline;
    ASSERT_TRUE(engine->submit(request, sink).ok());
    info = sink->wait();
    EXPECT_EQ(info.reason, FinishReason::kDeadline);
  }
  EXPECT_GT(info.generated_tokens, 0);
  EXPECT_LT(info.generated_tokens, 400);
  EXPECT_EQ(settled(*engine).pages_used, 0);
}

TEST(Failures, NoMemoryEndsTheRequestNotTheEngine) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers reserve more address space than this test may leave";
#endif
  const TempDir temp;
  TinyModel wide;
  wide.ffn = 8192;  // 512 tokens at once take tens of megabytes
  wide.build().write(temp / "wide.gguf");
  auto file = open_gguf(temp / "wide.gguf");
  ASSERT_TRUE(file.ok());
  auto loaded = Engine::load(std::shared_ptr<const ModelFile>(std::move(file).value()), {}, {});
  ASSERT_TRUE(loaded.ok());
  const std::unique_ptr<Engine> engine = std::move(loaded).value();
  const auto small = std::make_shared<NotingSink>();
  ASSERT_TRUE(engine->submit(request_of({1, 2, 3}, 3), small).ok());
  small->wait();
  std::ifstream statm("/proc/self/statm");
  rlim_t pages = 0;  // its sixth number: of data, which is what can be written
  for (int i = 0; i < 6; ++i) statm >> pages;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_DATA, &before), 0);
  rlimit tight = before;
  tight.rlim_cur = pages * 4096 + 65536;
  const auto large = std::make_shared<NotingSink>();
  EngineRequest request = request_of(some_prompt(500, 1), 3);
  ASSERT_EQ(setrlimit(RLIMIT_DATA, &tight), 0);
  const auto submitted = engine->submit(std::move(request), large);
  const FinishInfo info = large->wait();
  ASSERT_EQ(setrlimit(RLIMIT_DATA, &before), 0);
  ASSERT_TRUE(submitted.ok());
  EXPECT_EQ(info.reason, FinishReason::kError);
  EXPECT_NE(info.error.find("memory"), std::string::npos) << info.error;
  const auto again = std::make_shared<NotingSink>();
  ASSERT_TRUE(engine->submit(request_of(some_prompt(500, 1), 3), again).ok());
  EXPECT_EQ(again->wait().reason, FinishReason::kLength);
  const EngineStats stats = settled(*engine);
  EXPECT_EQ(stats.failed, 1);
  EXPECT_EQ(stats.pages_used, 0);
}

TEST(Watchdog, AStepThatHangsShows) {
  const auto engine = tiny_engine();
  EXPECT_EQ(engine->stats().stalled_seconds, 0);
  const auto sink = std::make_shared<NotingSink>();
  std::atomic<bool> go{false};
  sink->go_on = [&](std::size_t) {
    while (!go) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return true;
  };
  ASSERT_TRUE(engine->submit(request_of({1, 2, 3}, 3), sink).ok());
  while (engine->stats().stalled_seconds < 0.2) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  go = true;
  sink->wait();
  EXPECT_TRUE(eventually([&] { return engine->stats().stalled_seconds == 0; }));
}

}  // namespace
}  // namespace deepwell
