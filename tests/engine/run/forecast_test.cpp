// SPDX-License-Identifier: Apache-2.0
// Goal: what a server tells before it has computed anything is near what its machine can do, and the first
// steps, which read whole prompts, are not taken for the time of a token. Method: the forecast by itself, and
// what an engine tells whoever waits first.
#include "engine/run/forecast.h"

#include <gtest/gtest.h>

#include "tiny_engine.h"

namespace deepwell {
namespace {

using namespace testing_support;

/// When the second of two starts that share one place.
class ForecastTest : public ::testing::Test {
 protected:
  double second_starts() {
    forecast_.look_ahead(queue_, {}, 1, Clock::now());
    return forecast_.starts().at(1).seconds;
  }
  void SetUp() override {
    queue_.add(&first_);
    queue_.add(&second_);
  }
  void TearDown() override {
    queue_.remove(&first_);
    queue_.remove(&second_);
  }
  Sequence first_{request_of(some_prompt(100, 1), 40), nullptr},
      second_{request_of(some_prompt(100, 2), 40), nullptr};
  FairQueue queue_;
  Forecast forecast_;
};

TEST_F(ForecastTest, GoesByTheGuessUntilSomethingIsMeasured) {
  forecast_.expect({.token_seconds = 0.01, .prompt_token_seconds = 0.001});
  EXPECT_NEAR(second_starts(), 40 * 0.01 + 100 * 0.001, 1e-9);
}

TEST_F(ForecastTest, AStepThatReadPromptsIsNoTokensTime) {
  forecast_.expect({.token_seconds = 0.01, .prompt_token_seconds = 0.001});
  forecast_.note_step(/*prompt_tokens=*/512, /*answer_tokens=*/4, /*seconds=*/1.024);
  EXPECT_NEAR(second_starts(), 40 * 0.01 + 100 * 0.002, 1e-9);
}

class PlaceSink final : public TokenSink {
 public:
  bool on_token(const TokenOutput&) override { return true; }
  void on_queue(const QueuePlace& place) override {
    const std::lock_guard lock(mutex_);
    if (!first_) first_ = place.seconds;
  }
  void on_finish(const FinishInfo&) override {}
  std::optional<double> first() const {
    const std::lock_guard lock(mutex_);
    return first_;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<double> first_;
};

TEST(ColdEngine, TellsATimeOfItsModelAndItsMachine) {
  EngineOptions options;
  options.parallel = 1;
  const auto engine = tiny_engine(options);
  Gate gate;
  engine->look_up(some_prompt(20, 1), "", [&](std::int64_t) { gate.pass(); });
  gate.wait_until_reached();
  const auto runs = std::make_shared<NotingSink>();
  const auto waits = std::make_shared<PlaceSink>();
  ASSERT_TRUE(engine->submit(request_of(some_prompt(20, 1), 100), runs).ok());
  ASSERT_TRUE(engine->submit(request_of(some_prompt(20, 2), 100), waits).ok());
  gate.let_go();  // both are there before the first step
  ASSERT_TRUE(eventually([&] { return waits->first().has_value(); }));
  EXPECT_LT(*waits->first(), 1.0) << "the model is tiny";
  runs->wait();
  settled(*engine);
}

}  // namespace
}  // namespace deepwell
