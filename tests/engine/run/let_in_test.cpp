// SPDX-License-Identifier: Apache-2.0
// Goal: whoever comes while their account holds no place gets a first token before the long step under way
// ends, and all get the bits that they get alone, whatever kind of cache the model has; who is not owed it,
// or stands behind a higher priority, waits for the step. Method: forward passes inside forward passes; an
// engine whose steps are long, and what its sinks hear in which order.
#include <gtest/gtest.h>

#include "support/golden_file.h"
#include "support/run_tokens.h"
#include "tiny_engine.h"

namespace deepwell {
namespace {

using namespace testing_support;

TEST(BetweenLayers, AnotherPassChangesNoBitOfEither) {
  for (const char* name :
       {"llama_plain_1.gguf", "qwen3moe_31.gguf", "v2_lite_41.gguf", "v32_71.gguf", "v4_91.gguf"}) {
    SCOPED_TRACE(name);
    auto loaded = load_runner(golden_path(std::string("models/") + name));
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    Runner& runner = **loaded;
    const auto most = static_cast<std::uint64_t>(runner.model().shape().vocabulary);
    const auto prompt = [&](std::size_t length, std::uint64_t seed) {
      std::vector<std::int32_t> tokens = some_prompt(length, seed);
      for (std::int32_t& token : tokens)
        token = static_cast<std::int32_t>(static_cast<std::uint64_t>(token) % most);
      return tokens;
    };
    const std::vector<std::int32_t> outer = prompt(90, 1), inner = prompt(17, 2);
    const auto logits_of = [&](const auto& tokens) {
      return run_tokens(runner, tokens, std::ssize(tokens), /*prompt=*/true);
    };
    const std::vector<float> outer_alone = logits_of(outer), inner_alone = logits_of(inner);
    int passes = 0;
    bool within = false;
    runner.between_layers([&] {
      if (std::exchange(within, true)) return;
      EXPECT_EQ(logits_of(inner), inner_alone);
      ++passes;
      within = false;
    });
    EXPECT_EQ(logits_of(outer), outer_alone);
    EXPECT_EQ(passes, runner.model().shape().layers);
  }
}

/// A step over a whole prompt takes long enough to come amid it.
std::unique_ptr<Engine> slow_engine(int parallel = 8) {
  const TempDir temp;
  TinyModel model;
  model.layers = 12;
  model.ffn = 1024;
  model.build().write(temp / "slow.gguf");
  auto file = open_gguf(temp / "slow.gguf");
  DW_CHECK(file.ok());
  EngineOptions options;
  options.threads = 1;
  options.parallel = parallel;
  auto engine = Engine::load(std::shared_ptr<const ModelFile>(std::move(file).value()), options, {});
  DW_CHECK(engine.ok());
  return std::move(engine).value();
}

struct Visit {
  int account_priority = 0;
  std::string account = "light";
};

/// Whether the visitor's first token came before the step ended over the prompt of "heavy", who was first.
/// The visitor is submitted as soon as that one holds a place, so before its step or, nearly always, amid it.
bool came_first(Engine& engine, const Visit& visit, std::uint64_t seed) {
  std::mutex mutex;
  std::string order;
  const auto note = [&](char who) {
    const std::lock_guard lock(mutex);
    order += who;
  };
  const auto heavy = std::make_shared<NotingSink>(), light = std::make_shared<NotingSink>();
  heavy->progressed = [&] { note('h'); };
  light->go_on = [&](std::size_t) {
    note('l');
    return true;
  };
  EngineRequest reads = request_of(some_prompt(500, seed), 4);
  reads.account = "heavy";
  EngineRequest asks = request_of(some_prompt(10, seed + 1), 3);
  asks.account = visit.account;
  asks.priority = visit.account_priority;
  EXPECT_TRUE(engine.submit(std::move(reads), heavy).ok());
  while (engine.stats().running == 0) std::this_thread::yield();
  EXPECT_TRUE(engine.submit(std::move(asks), light).ok());
  EXPECT_EQ(heavy->wait().reason, FinishReason::kLength);
  EXPECT_EQ(light->wait().reason, FinishReason::kLength);
  const auto alone = request_of(some_prompt(10, seed + 1), 3);
  const auto again = std::make_shared<NotingSink>();
  EXPECT_TRUE(engine.submit(alone, again).ok());
  again->wait();
  EXPECT_EQ(light->tokens(), again->tokens()) << "alone it says the same";
  settled(engine);
  return order.front() == 'l';
}

TEST(LetIn, ANewcomersFirstTokenDoesNotWaitForTheStep) {
  const auto engine = slow_engine();
  int first = 0;
  for (std::uint64_t i = 0; i < 200 && first == 0; ++i) first += came_first(*engine, {}, 10 * i) ? 1 : 0;
  EXPECT_EQ(first, 1) << "it came amid no step, or was not let in";
  EXPECT_EQ(settled(*engine).pages_used, 0);
}

TEST(LetIn, NotOnesOwnAndNotBehindAHigherPriority) {
  const auto engine = slow_engine();
  for (std::uint64_t i = 0; i < 3; ++i) {
    EXPECT_FALSE(came_first(*engine, {.account = "heavy"}, 10 * i));
    EXPECT_FALSE(came_first(*engine, {.account_priority = 5}, 10 * i));
  }
}

// All places taken: one of the heavy account's is put aside amid its own step, and loses no token by it.
TEST(LetIn, WhoIsPutAsideAmidItsStepGoesOnAsIfNothingWas) {
  const auto alone = slow_engine(), engine = slow_engine(2);
  std::vector<std::vector<std::int32_t>> expected;
  std::vector<std::shared_ptr<NotingSink>> heavy;
  const auto wanted = [](std::uint64_t i) {
    EngineRequest request = request_of(some_prompt(200, i), 40, i);
    request.account = "heavy";
    return request;
  };
  for (std::uint64_t i = 0; i < 4; ++i) {
    const auto sink = std::make_shared<NotingSink>();
    ASSERT_TRUE(alone->submit(wanted(i), sink).ok());
    sink->wait();
    expected.push_back(sink->tokens());
  }
  Gate gate;
  for (std::uint64_t i = 0; i < 4; ++i) {
    heavy.push_back(std::make_shared<NotingSink>());
    if (i == 1)
      heavy[1]->go_on = [&](std::size_t) {
        gate.pass();
        return true;
      };
    ASSERT_TRUE(engine->submit(wanted(i), heavy.back()).ok());
  }
  gate.wait_until_reached();  // both places are taken
  for (std::uint64_t i = 0; i < 10; ++i) {
    const auto light = std::make_shared<NotingSink>();
    EngineRequest request = request_of(some_prompt(12, 100 + i), 2);
    request.account = "light";
    ASSERT_TRUE(engine->submit(std::move(request), light).ok());
    gate.let_go();
    EXPECT_EQ(light->wait().reason, FinishReason::kLength);
  }
  EXPECT_GT(engine->stats().preemptions, 0);
  for (std::size_t i = 0; i < heavy.size(); ++i) {
    EXPECT_EQ(heavy[i]->wait().reason, FinishReason::kLength);
    EXPECT_EQ(heavy[i]->tokens(), expected[i]);
  }
  EXPECT_EQ(settled(*engine).pages_used, 0);
}

}  // namespace
}  // namespace deepwell
