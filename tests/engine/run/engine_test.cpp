// SPDX-License-Identifier: Apache-2.0
// Goal: requests of an engine get their tokens, the same whatever else runs; limits, cancelling and the end
// of the engine leave nothing behind: exactly one on_finish each, every page free. Method: a tiny random
// model; two threads of computation, requests from this thread and others.
#include "engine/run/engine.h"

#include <numeric>

#include "tiny_engine.h"

namespace deepwell {
namespace {

using namespace testing_support;
using Tokens = std::vector<std::int32_t>;

std::shared_ptr<NotingSink> submit(Engine& engine, EngineRequest request, std::uint64_t* id = nullptr) {
  auto sink = std::make_shared<NotingSink>();
  const auto submitted = engine.submit(std::move(request), sink);
  EXPECT_TRUE(submitted.ok()) << submitted.error().message;
  if (id != nullptr && submitted.ok()) *id = *submitted;
  return sink;
}

// One that takes its time with every token: it does not end before a test has done what it does amid it.
std::shared_ptr<NotingSink> submit_slow(Engine& engine, EngineRequest request) {
  auto sink = std::make_shared<NotingSink>();
  sink->go_on = [](std::size_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return true;
  };
  EXPECT_TRUE(engine.submit(std::move(request), sink).ok());
  return sink;
}

Tokens answer(Engine& engine, EngineRequest request) {
  const auto sink = submit(engine, std::move(request));
  sink->wait();
  return sink->tokens();
}

void expect_nothing_left(const Engine& engine) {
  const EngineStats stats = settled(engine);
  EXPECT_EQ(stats.running, 0);
  EXPECT_EQ(stats.waiting, 0);
  EXPECT_EQ(stats.pages_used, 0);
}

TEST(Engine, DescribesItsModel) {
  const auto engine = tiny_engine();
  const EngineInfo& info = engine->info();
  EXPECT_EQ(info.name, "tiny");
  EXPECT_EQ(info.architecture, "llama");
  EXPECT_EQ(info.weight_types, "F32 100%");
  EXPECT_EQ(info.vocabulary, 128);
  EXPECT_EQ(info.context, 512);
  EXPECT_EQ(info.context_trained, 512);
  EXPECT_EQ(info.layers, 2);
  EXPECT_EQ(info.width, 64);
  EXPECT_EQ(info.cache_bytes_per_token, 2 * 2 * 2 * 16 * 2);  // layers, keys and values, heads, size, bytes
  EXPECT_EQ(info.weight_bytes, info.parameters * 4);
}

TEST(Engine, LoadingEndsAtTheWhole) {
  for (const bool tied : {false, true}) {
    const TempDir temp;
    TinyModel model;
    model.tied = tied;
    model.build().write(temp / "tiny.gguf");
    auto file = open_gguf(temp / "tiny.gguf");
    ASSERT_TRUE(file.ok()) << file.error().message;
    std::vector<double> fractions;
    const auto engine = Engine::load(std::shared_ptr<const ModelFile>(std::move(file).value()), {}, {},
                                     [&](double fraction) { fractions.push_back(fraction); });
    ASSERT_TRUE(engine.ok()) << engine.error().message;
    ASSERT_GT(fractions.size(), 2U);
    EXPECT_TRUE(std::is_sorted(fractions.begin(), fractions.end()));
    EXPECT_EQ(fractions.back(), 1);
  }
}

TEST(Engine, AnswersOneRequest) {
  EngineOptions options;
  options.draft_tokens = 0;  // a step a token
  const auto engine = tiny_engine(options);
  const auto sink = submit(*engine, request_of(some_prompt(10, 1), 20));
  const FinishInfo info = sink->wait();
  EXPECT_EQ(info.reason, FinishReason::kLength);
  EXPECT_EQ(sink->tokens().size(), 20U);
  EXPECT_EQ(info.prompt_tokens, 10);
  EXPECT_EQ(info.generated_tokens, 20);
  EXPECT_GE(info.queue_seconds, 0);
  EXPECT_GT(info.prefill_seconds, 0);
  EXPECT_GT(info.decode_seconds, 0);
  expect_nothing_left(*engine);
  const EngineStats stats = engine->stats();
  EXPECT_EQ(stats.requests, 1);
  EXPECT_EQ(stats.prompt_tokens, 10);
  EXPECT_EQ(stats.generated_tokens, 20);
  EXPECT_EQ(stats.steps, 20);
  EXPECT_EQ(stats.cancelled, 0);
  EXPECT_EQ(sink->finishes(), 1);
}

TEST(Engine, ManyAtOnceAreEachWhatTheyAreAlone) {
  for (const bool exact : {false, true}) {
    EngineOptions options;
    options.exact = exact;
    options.parallel = 5;
    options.prefill_chunk = 30;
    const auto engine = tiny_engine(options);
    std::vector<EngineRequest> requests;
    for (std::uint64_t i = 0; i < 24; ++i)
      requests.push_back(request_of(some_prompt(1 + i * 13 % 140, i),
                                    5 + static_cast<std::int64_t>(i * 7 % 40),
                                    i % 2 == 0 ? std::nullopt : std::optional(i)));
    std::vector<Tokens> alone;
    for (const EngineRequest& request : requests) alone.push_back(answer(*engine, request));
    std::vector<std::shared_ptr<NotingSink>> sinks;
    for (const EngineRequest& request : requests) sinks.push_back(submit(*engine, request));
    for (std::size_t i = 0; i < sinks.size(); ++i) {
      EXPECT_EQ(sinks[i]->wait().reason, FinishReason::kLength);
      EXPECT_EQ(sinks[i]->tokens(), alone[i]) << "request " << i << (exact ? ", exact" : "");
    }
    expect_nothing_left(*engine);
  }
}

TEST(Engine, GuessesSaveStepsAndChangeNoToken) {
  EngineOptions plain;
  plain.draft_tokens = 0;
  const auto without = tiny_engine(plain);
  const auto with = tiny_engine();
  std::vector<std::shared_ptr<NotingSink>> sinks[2];
  // The first repeats itself, alone: before a guess was tried nothing is known of its cost.
  EngineRequest repeating = request_of(some_prompt(6, 99), 60);
  repeating.sampling.logit_bias = {{5, 1000.0F}};
  sinks[0].push_back(submit(*without, repeating));
  sinks[1].push_back(submit(*with, repeating));
  for (const auto& sink : sinks) sink[0]->wait();
  for (std::uint64_t i = 0; i < 12; ++i) {
    Tokens prompt = some_prompt(6 + i * 5, i);
    for (int again = 0; again < 3; ++again) prompt.insert(prompt.end(), prompt.begin(), prompt.begin() + 6);
    EngineRequest request = request_of(prompt, 60, i % 3 == 0 ? std::optional(i) : std::nullopt);
    request.sampling.logprobs = 2;
    sinks[0].push_back(submit(*without, request));
    sinks[1].push_back(submit(*with, request));
  }
  for (std::size_t i = 0; i < sinks[0].size(); ++i) {
    EXPECT_EQ(sinks[0][i]->wait().generated_tokens, 60);
    EXPECT_EQ(sinks[1][i]->wait().generated_tokens, 60);
    const auto want = sinks[0][i]->outputs(), got = sinks[1][i]->outputs();
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t t = 0; t < want.size(); ++t) {
      ASSERT_EQ(got[t].token, want[t].token) << "request " << i << ", token " << t;
      ASSERT_EQ(got[t].logprob, want[t].logprob);
    }
  }
  const EngineStats stats = settled(*with), plain_stats = settled(*without);
  EXPECT_EQ(plain_stats.draft_tokens, 0);
  EXPECT_GT(stats.draft_tokens, 0) << "a sequence begins hopeful";
  EXPECT_LE(stats.draft_tokens_right, stats.draft_tokens);
  EXPECT_EQ(stats.generated_tokens, plain_stats.generated_tokens);
  // Alone, a request has a pass for each token that was not guessed rightly. How many are guessed is a matter
  // of measured time.
  const auto passes_and_right = [](Engine& engine) {
    const EngineStats before = engine.stats();
    submit(engine, request_of(Tokens(40, 7), 200))->wait();
    const EngineStats after = settled(engine);
    return std::pair(after.steps - before.steps, after.draft_tokens_right - before.draft_tokens_right);
  };
  EXPECT_EQ(passes_and_right(*without), std::pair(std::int64_t{200}, std::int64_t{0}));
  const auto [passes, right] = passes_and_right(*with);
  EXPECT_EQ(passes, 200 - right);
  expect_nothing_left(*with);
}

TEST(Engine, NeverRunsMoreThanItShouldAtOnce) {
  EngineOptions options;
  options.parallel = 3;
  const auto engine = tiny_engine(options);
  int most = 0;  // the engine thread's
  Gate gate;
  std::vector<std::shared_ptr<NotingSink>> sinks;
  for (std::uint64_t i = 0; i < 12; ++i) {
    sinks.push_back(std::make_shared<NotingSink>());
    sinks.back()->go_on = [&](std::size_t) {
      gate.pass();
      most = std::max(most, engine->stats().running);
      return true;
    };
    ASSERT_TRUE(engine->submit(request_of(some_prompt(20, i), 60), sinks.back()).ok());
  }
  gate.let_go();
  for (const auto& sink : sinks) sink->wait();
  EXPECT_EQ(most, 3);
  expect_nothing_left(*engine);
}

TEST(Engine, ASmallCacheMakesRequestsWaitInsteadOfFail) {
  EngineOptions options;
  options.cache_bytes = 1;  // one whole sequence, whatever is asked
  const auto engine = tiny_engine(options);
  EXPECT_EQ(engine->stats().pages_total, 8);
  std::vector<std::shared_ptr<NotingSink>> sinks;
  for (std::uint64_t i = 0; i < 10; ++i)
    sinks.push_back(submit(*engine, request_of(some_prompt(150, i), 100)));
  for (const auto& sink : sinks) EXPECT_EQ(sink->wait().reason, FinishReason::kLength);
  expect_nothing_left(*engine);
}

TEST(Engine, AFullQueueSaysOverloaded) {
  for (const int parallel : {1, 3}) {
    for (const int queue : {0, 2}) {
      SCOPED_TRACE(testing::Message() << parallel << " parallel, queue of " << queue);
      EngineOptions options;
      options.parallel = parallel;
      options.queue = queue;
      const auto engine = tiny_engine(options);
      Gate gate;
      const auto first = std::make_shared<NotingSink>();
      first->go_on = [&](std::size_t count) {
        if (count == 1) gate.pass();
        return true;
      };
      ASSERT_TRUE(engine->submit(request_of({1, 2, 3}, 4), first).ok());
      gate.wait_until_reached();  // running: 1
      std::vector<std::shared_ptr<NotingSink>> sinks;
      for (int i = 0; i < parallel - 1 + queue; ++i) sinks.push_back(submit(*engine, request_of({4, 5}, 3)));
      const auto refused = std::make_shared<NotingSink>();
      const auto result = engine->submit(request_of({4, 5}, 3), refused);
      ASSERT_FALSE(result.ok());
      EXPECT_EQ(result.error().code, ErrorCode::kOverloaded);
      EXPECT_NE(result.error().message.find("are waiting"), std::string::npos) << result.error().message;
      gate.let_go();
      first->wait();
      for (const auto& sink : sinks) EXPECT_EQ(sink->wait().reason, FinishReason::kLength);
      EXPECT_EQ(refused->finishes(), 0);
      EXPECT_TRUE(engine->submit(request_of({4, 5}, 3), refused).ok()) << "room again";
      refused->wait();
    }
  }
}

TEST(Engine, PromptsThatCannotBeAnsweredAreRefusedWithTheNumbers) {
  const auto engine = tiny_engine();
  const auto sink = std::make_shared<NotingSink>();
  const auto message = [&](Tokens prompt) {
    const auto result = engine->submit(request_of(std::move(prompt), 5), sink);
    EXPECT_FALSE(result.ok());
    if (result.ok()) return std::string("it was taken");
    EXPECT_EQ(result.error().code, ErrorCode::kInvalid);
    return result.error().message;
  };
  const std::string too_long = message(some_prompt(600, 1));
  EXPECT_NE(too_long.find("600"), std::string::npos) << too_long;
  EXPECT_NE(too_long.find("512"), std::string::npos) << too_long;
  message(some_prompt(512, 1));
  EXPECT_NE(message({}).find("empty"), std::string::npos);
  EXPECT_NE(message({1, 128}).find("token 128"), std::string::npos);
  EXPECT_NE(message({1, -1}).find("token -1"), std::string::npos);
  EXPECT_EQ(sink->finishes(), 0);
}

TEST(Engine, ARequestEndsWhenTheContextIsFull) {
  const auto engine = tiny_engine();
  for (const std::int64_t wanted : {std::int64_t{-1}, std::int64_t{10000}, std::int64_t{INT64_MAX}}) {
    const auto sink = submit(*engine, request_of(some_prompt(500, 1), wanted));
    EXPECT_EQ(sink->wait().reason, FinishReason::kLength);
    EXPECT_EQ(sink->tokens().size(), 12U);
  }
  const auto sink = submit(*engine, request_of(some_prompt(511, 1), -1));
  sink->wait();
  EXPECT_EQ(sink->tokens().size(), 1U);
}

TEST(Engine, NoTokensAndOneToken) {
  const auto engine = tiny_engine();
  const auto none = submit(*engine, request_of({5, 6, 7}, 0)),
             one = submit(*engine, request_of({5, 6, 7}, 1));
  EXPECT_EQ(none->wait().reason, FinishReason::kLength);
  EXPECT_EQ(none->wait().generated_tokens, 0);
  EXPECT_TRUE(none->tokens().empty());
  EXPECT_EQ(one->wait().generated_tokens, 1);
  EXPECT_EQ(one->tokens().size(), 1U);
  expect_nothing_left(*engine);
  EXPECT_EQ(engine->stats().generated_tokens, 1);
}

TEST(Engine, EndTokensEndAndAreNotPassedOn) {
  const auto plain = tiny_engine();
  const Tokens all = answer(*plain, request_of({9, 8, 7}, 30));
  const std::int32_t end = all[12];
  const auto first = static_cast<std::size_t>(std::find(all.begin(), all.end(), end) - all.begin());
  const auto engine = tiny_engine({}, [end](std::int32_t token) { return token == end; });
  const auto sink = submit(*engine, request_of({9, 8, 7}, 30));
  EXPECT_EQ(sink->wait().reason, FinishReason::kStop);
  EXPECT_EQ(sink->tokens(), Tokens(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(first)));
  EngineRequest on = request_of({9, 8, 7}, 30);
  on.ignore_end = true;
  EXPECT_EQ(answer(*engine, on), all);
}

TEST(Engine, ASinkCanStop) {
  const auto engine = tiny_engine();
  const auto sink = std::make_shared<NotingSink>();
  sink->go_on = [](std::size_t count) { return count < 4; };
  ASSERT_TRUE(engine->submit(request_of({1, 2, 3}, 50), sink).ok());
  EXPECT_EQ(sink->wait().reason, FinishReason::kStop);
  EXPECT_EQ(sink->tokens().size(), 4U);
  expect_nothing_left(*engine);
}

TEST(Engine, ProgressIsToldInChunksUpToTheWholePrompt) {
  EngineOptions options;
  options.prefill_chunk = 40;
  const auto engine = tiny_engine(options);
  using Progress = std::vector<std::pair<std::int64_t, std::int64_t>>;
  const auto of = [&](std::size_t length) {
    const auto sink = submit(*engine, request_of(some_prompt(length, 1), 3));
    sink->wait();
    return sink->progress();
  };
  EXPECT_EQ(of(100), (Progress{{40, 100}, {80, 100}, {100, 100}}));
  EXPECT_EQ(of(40), (Progress{{40, 40}}));
  EXPECT_EQ(of(41), (Progress{{40, 41}, {41, 41}})) << "a last chunk of one token counts too";
  EXPECT_EQ(of(1), (Progress{{1, 1}}));
}

TEST(Engine, LogprobsComeWithTokens) {
  const auto engine = tiny_engine();
  EngineRequest request = request_of({3, 4}, 5);
  request.sampling.logprobs = 3;
  const auto sink = submit(*engine, request);
  sink->wait();
  for (const TokenOutput& output : sink->outputs()) {
    ASSERT_EQ(output.top.size(), 3U);
    EXPECT_EQ(output.top[0].token, output.token);  // greedy
    EXPECT_EQ(output.top[0].logprob, output.logprob);
  }
}

TEST(Engine, CancelledWhileWaiting) {
  EngineOptions options;
  options.parallel = 1;
  const auto engine = tiny_engine(options);
  Gate gate;
  const auto first = std::make_shared<NotingSink>();
  first->go_on = [&](std::size_t count) {
    if (count == 2) gate.pass();
    return true;
  };
  ASSERT_TRUE(engine->submit(request_of({1, 2, 3}, 5), first).ok());
  gate.wait_until_reached();
  std::uint64_t id = 0;
  const auto second = submit(*engine, request_of({1, 2}, 5), &id),
             third = submit(*engine, request_of({1, 2}, 5));
  engine->cancel(id);
  gate.let_go();
  const FinishInfo info = second->wait();
  EXPECT_EQ(info.reason, FinishReason::kCancelled);
  EXPECT_EQ(info.generated_tokens, 0);
  EXPECT_EQ(info.prefill_seconds, 0);
  EXPECT_EQ(first->wait().reason, FinishReason::kLength);
  EXPECT_EQ(third->wait().reason, FinishReason::kLength);
  expect_nothing_left(*engine);
  EXPECT_EQ(engine->stats().cancelled, 1);
}

TEST(Engine, CancelledWhilePrefilling) {
  EngineOptions options;
  options.prefill_chunk = 10;
  const auto engine = tiny_engine(options);
  const auto sink = std::make_shared<NotingSink>();
  Gate gate;
  sink->progressed = [&] { gate.pass(); };
  const auto id = engine->submit(request_of(some_prompt(400, 1), 50), sink);
  ASSERT_TRUE(id.ok());
  gate.wait_until_reached();
  engine->cancel(*id);
  gate.let_go();
  EXPECT_EQ(sink->wait().reason, FinishReason::kCancelled);
  EXPECT_TRUE(sink->tokens().empty());
  EXPECT_EQ(sink->progress().size(), 1U);
  expect_nothing_left(*engine);
}

TEST(Engine, CancelledWhileDecoding) {
  const auto engine = tiny_engine();
  const auto sink = std::make_shared<NotingSink>();
  Gate gate;
  sink->go_on = [&](std::size_t count) {
    if (count == 3) gate.pass();
    return true;
  };
  const std::uint64_t id = *engine->submit(request_of({1, 2, 3}, 500), sink);
  gate.wait_until_reached();
  engine->cancel(id);
  gate.let_go();
  EXPECT_EQ(sink->wait().reason, FinishReason::kCancelled);
  EXPECT_LT(sink->tokens().size(), 500U);
  expect_nothing_left(*engine);
  engine->cancel(id);      // over already
  engine->cancel(123456);  // never was
  EXPECT_EQ(answer(*engine, request_of({1, 2, 3}, 3)).size(), 3U);
  EXPECT_EQ(sink->finishes(), 1);
}

TEST(Engine, DestroyingItFinishesEveryRequestOnce) {
  for (int round = 0; round < 10; ++round) {
    EngineOptions options;
    options.parallel = 3;
    auto engine = tiny_engine(options);
    std::vector<std::shared_ptr<NotingSink>> sinks;
    for (std::uint64_t i = 0; i < 9; ++i)
      sinks.push_back(submit_slow(*engine, request_of(some_prompt(30, i), 400)));
    if (round > 0) sinks[0]->wait_for_tokens(static_cast<std::size_t>(round));
    engine.reset();
    for (const auto& sink : sinks) {
      ASSERT_EQ(sink->finishes(), 1);
      EXPECT_EQ(sink->wait().reason, FinishReason::kCancelled);
    }
  }
}

TEST(Engine, OptionsThatMakeNoSenseAreErrors) {
  const TempDir temp;
  TinyModel{}.build().write(temp / "tiny.gguf");
  const auto load = [&](auto change) {
    EngineOptions options;
    change(options);
    auto file = open_gguf(temp / "tiny.gguf");
    const auto engine = Engine::load(std::shared_ptr<const ModelFile>(std::move(file).value()), options, {});
    return engine.ok() ? std::string("it loaded") : engine.error().message;
  };
  EXPECT_NE(load([](EngineOptions& o) { o.parallel = 0; }).find("positive"), std::string::npos);
  EXPECT_NE(load([](EngineOptions& o) { o.context = -1; }).find("positive"), std::string::npos);
  EXPECT_NE(load([](EngineOptions& o) { o.queue = -1; }).find("positive"), std::string::npos);
  EXPECT_NE(load([](EngineOptions& o) { o.prefill_chunk = 0; }).find("positive"), std::string::npos);
  EXPECT_NE(load([](EngineOptions& o) { o.context = INT64_MAX; }).find("context"), std::string::npos);
  // More cache than there is memory: an error now, not the system's killer later.
  EXPECT_NE(load([](EngineOptions& o) { o.context = 1 << 30; }).find("smaller --context"), std::string::npos);
}

// 200 random requests from four threads: lengths, seeds, stops, cancels; each ends once, as it would alone.
TEST(Engine, ExpertsOnDiskAreSaidSoAndGiveTheSameAnswers) {
  std::vector<Tokens> answers;
  for (const std::int64_t cache : {std::int64_t{0}, std::int64_t{1} << 30}) {
    auto file = open_gguf(std::string(DEEPWELL_SOURCE_DIR) + "/tests/golden/engine/models/v2_lite_41.gguf");
    ASSERT_TRUE(file.ok()) << file.error().message;
    std::string log;
    EngineOptions options;
    options.threads = 2;
    options.expert_cache_bytes = cache;
    options.draft_tokens = 0;
    options.log = [&](const std::string& line) { log += line; };
    const auto engine = Engine::load(std::shared_ptr<const ModelFile>(std::move(file).value()), options, {});
    ASSERT_TRUE(engine.ok()) << engine.error().message;
    EXPECT_EQ(log.find("read from disk") != std::string::npos, cache > 0) << log;
    Tokens prompt = some_prompt(20, 1);
    for (std::int32_t& token : prompt) token %= static_cast<std::int32_t>((*engine)->info().vocabulary);
    answers.push_back(answer(**engine, request_of(std::move(prompt), 12)));
    const EngineStats stats = settled(**engine);
    EXPECT_EQ(std::accumulate(stats.steps_by_size.begin(), stats.steps_by_size.end(), std::int64_t{0}),
              stats.steps);
    EXPECT_GT(stats.steps_by_size[0], 0) << "a token a step, where nothing is guessed";
  }
  EXPECT_EQ(answers[0].size(), 12U);
  EXPECT_EQ(answers[0], answers[1]);
}

TEST(Engine, Soak) {
  EngineOptions options;
  options.parallel = 6;
  options.prefill_chunk = 64;
  options.cache_bytes = 1500 * 256;  // about three full sequences of cache for six at once
  const auto engine = tiny_engine(options);
  std::atomic<int> ended{0}, cancelled{0};
  const auto client = [&](std::uint64_t number) {
    std::mt19937_64 random(number);
    std::vector<std::pair<std::shared_ptr<NotingSink>, std::size_t>> mine;
    for (int i = 0; i < 50; ++i) {
      EngineRequest request = request_of(some_prompt(1 + random() % 300, random()),
                                         static_cast<std::int64_t>(random() % 60), random());
      request.sampling.top_k = static_cast<int>(random() % 20);
      const auto most = static_cast<std::size_t>(request.max_tokens);
      const auto sink = std::make_shared<NotingSink>();
      const std::size_t stop_at = random() % 4 == 0 ? 1 + random() % 10 : SIZE_MAX;
      sink->go_on = [stop_at](std::size_t count) { return count < stop_at; };
      const auto id = engine->submit(std::move(request), sink);
      ASSERT_TRUE(id.ok()) << id.error().message;
      mine.emplace_back(sink, std::min(most, stop_at));
      if (random() % 5 == 0) {
        if (random() % 2 == 0) sink->wait_for_tokens(1);
        engine->cancel(*id);
      }
      if (random() % 3 == 0) sink->wait();
    }
    for (const auto& [sink, expected] : mine) {
      const FinishInfo info = sink->wait();
      if (info.reason == FinishReason::kCancelled) {
        ++cancelled;
        EXPECT_LE(sink->tokens().size(), expected);
      } else {
        EXPECT_EQ(sink->tokens().size(), expected);
      }
      EXPECT_EQ(sink->finishes(), 1);
      ++ended;
    }
  };
  std::vector<std::thread> clients;
  for (std::uint64_t i = 0; i < 4; ++i) clients.emplace_back(client, i);
  for (std::thread& thread : clients) thread.join();
  EXPECT_EQ(ended, 200);
  expect_nothing_left(*engine);
  EXPECT_EQ(engine->stats().requests, 200);
  EXPECT_EQ(engine->stats().cancelled, cancelled);
}

}  // namespace
}  // namespace deepwell
