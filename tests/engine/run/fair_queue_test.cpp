// SPDX-License-Identifier: Apache-2.0
// Goal: whose turn it is, told from accounts, priorities, lengths and waits; who was sent away finds the
// place it was promised. Method: sequences that never run, and times set by hand.
#include "engine/run/fair_queue.h"

#include <gtest/gtest.h>

#include "engine/run/forecast.h"
#include "engine/run/promises.h"

namespace deepwell {
namespace {
using namespace std::chrono_literals;

class FairQueueTest : public testing::Test {
 protected:
  Sequence* add(const std::string& account, std::int64_t prompt = 10, std::int64_t answer = 10,
                int priority = 0, std::chrono::milliseconds waited = 0ms) {
    EngineRequest request;
    request.prompt.assign(static_cast<std::size_t>(prompt), 1);
    request.max_tokens = answer;
    request.account = account;
    request.priority = priority;
    sequences_.push_back(std::make_unique<Sequence>(std::move(request), nullptr));
    Sequence* const sequence = sequences_.back().get();
    sequence->id = sequences_.size();
    sequence->submitted = epoch_ - waited;
    queue_.add(sequence);
    return sequence;
  }
  void start(Sequence* sequence) {
    queue_.start(sequence);
    sequence->started = Clock::now();
  }
  Sequence* start_best() {
    Sequence* const best = queue_.best();
    start(best);
    return best;
  }

  Clock::time_point epoch_ = Clock::now();
  std::vector<std::unique_ptr<Sequence>> sequences_;
  FairQueue queue_;
};

TEST_F(FairQueueTest, ShortGoesFirstButNotForEver) {
  Sequence* const long_one = add("", 5000, 10);
  Sequence* const short_one = add("", 10, 10);
  Sequence* const short_but_late = add("", 10, 10, 0, -60s);  // comes when the long one has waited a minute
  EXPECT_EQ(start_best(), short_one);
  EXPECT_EQ(start_best(), long_one);
  EXPECT_EQ(start_best(), short_but_late);
  EXPECT_EQ(queue_.best(), nullptr);
}

TEST_F(FairQueueTest, AccountsHoldEquallyManyPlaces) {
  for (int i = 0; i < 10; ++i) add("heavy");
  for (int i = 0; i < 2; ++i) add("light");
  std::string order;
  for (int i = 0; i < 8; ++i) order += start_best()->request.account[0];
  EXPECT_EQ(std::count(order.begin(), order.begin() + 4, 'l'), 2) << order;
  EXPECT_EQ(order.substr(4), "hhhh");
}

TEST_F(FairQueueTest, BetweenEqualsWhoWasServedLessGoesFirst) {
  Sequence* const a = add("a");
  add("b");
  queue_.serve("a", 1000);
  add("a");
  EXPECT_EQ(queue_.best()->request.account, "b");
  queue_.serve("b", 1001);
  EXPECT_EQ(queue_.best(), a);
}

TEST_F(FairQueueTest, IdleTimeGivesNoCreditAndLeavingClearsNoDebt) {
  add("busy");
  queue_.serve("busy", 5000);
  add("new");
  EXPECT_EQ(queue_.served("new"), 5000) << "it starts where the others are";
  queue_.serve("new", 7000);
  Sequence* const left = queue_.best()->request.account == "new" ? queue_.best() : sequences_[1].get();
  queue_.remove(left);
  add("new");
  EXPECT_EQ(queue_.served("new"), 12000);
}

TEST_F(FairQueueTest, WhoMayHaveAnothersPlace) {
  Sequence* running[4];
  for (auto& sequence : running) start(sequence = add("heavy"));
  Sequence* const light = add("light");
  Sequence* const more = add("heavy");
  EXPECT_TRUE(queue_.may_displace(*light, *running[0]));
  EXPECT_FALSE(queue_.may_displace(*more, *running[0])) << "never one's own";
  queue_.stop(running[3]);
  queue_.stop(running[2]);
  start(light);
  Sequence* const again = add("light");
  EXPECT_FALSE(queue_.may_displace(*again, *running[0])) << "two against one: no";
  EXPECT_TRUE(queue_.may_displace(*add("other", 1, 1, -1), *running[0])) << "a higher priority";
  EXPECT_FALSE(queue_.may_displace(*add("other", 1, 1, 1), *light)) << "a lower one";
}

TEST_F(FairQueueTest, OwedIsWhoHoldsNoPlaceAndHadNoMore) {
  start(add("heavy"));
  queue_.serve("heavy", 100);
  Sequence* const light = add("light");
  EXPECT_TRUE(queue_.is_owed(*light));
  EXPECT_FALSE(queue_.is_owed(*add("heavy"))) << "it holds a place";
  queue_.serve("light", 1);
  EXPECT_FALSE(queue_.is_owed(*light)) << "it had more";
  queue_.serve("heavy", 1);
  EXPECT_TRUE(queue_.is_owed(*light));
}

TEST_F(FairQueueTest, PlayingOnTellsTheOrderInWhichTheyStart) {
  for (int i = 0; i < 3; ++i) start(add("heavy"));
  for (int i = 0; i < 5; ++i) add("heavy", 10 + i);
  Sequence* const light = add("light", 4000);
  std::vector<Sequence*> order;
  queue_.play([] { return std::optional<std::string>("heavy"); },
              [&](Sequence* sequence) { order.push_back(sequence); });
  ASSERT_EQ(order.size(), 6U);
  EXPECT_EQ(order[0], light);
  EXPECT_EQ(order[1], sequences_[3].get());
  EXPECT_EQ(queue_.waiting(), 6) << "it was but played";
}

TEST_F(FairQueueTest, TheForecastFollowsTheMeasuredSpeed) {
  Forecast forecast;
  std::vector<Sequence*> running;
  for (int i = 0; i < 2; ++i) {
    running.push_back(add("", 10, 100));
    start(running.back());
    running.back()->done = 10;
  }
  for (int i = 0; i < 6; ++i) add("", 10, 100);
  Sequence ended(sequences_[0]->request, nullptr);  // 100 tokens took 10 s; reading took no time
  ended.generated = 100;
  ended.started = ended.first_token = epoch_;
  for (int i = 0; i < 10; ++i) forecast.note_finish(ended, 9.9);
  forecast.look_ahead(queue_, running, 2, epoch_);
  ASSERT_EQ(forecast.starts().size(), 6U);
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_NEAR(forecast.starts()[i].seconds, 10.0 * static_cast<double>(1 + i / 2), 0.5) << i;
  Sequence vector(sequences_[0]->request, nullptr);  // it says nothing, which tells nothing of answers
  vector.started = vector.first_token = epoch_;
  for (int i = 0; i < 100; ++i) forecast.note_finish(vector, 0);
  forecast.look_ahead(queue_, running, 2, epoch_);
  EXPECT_NEAR(forecast.starts()[5].seconds, 30, 0.5);
  EXPECT_NEAR(forecast.seconds_until(3, epoch_ + 2s), 18, 0.5);
  EXPECT_NEAR(forecast.seconds_until(12, epoch_), 60, 2) << "beyond those it knows: as before";
}

TEST(Promises, AreKeptForAWhile) {
  const auto now = Clock::now();
  EngineRequest a, b;
  a.prompt = {1, 2, 3};
  b.prompt = {1, 2, 3};
  b.account = "other";
  const auto hash = Promises::hash_of(a);
  EXPECT_NE(hash, Promises::hash_of(b));
  Promises promises;
  EXPECT_EQ(promises.outstanding(now), 0);
  promises.make(hash, now + 20s, now);
  EXPECT_EQ(promises.outstanding(now + 20s), 1);
  EXPECT_EQ(promises.due(hash), now + 20s);
  EXPECT_EQ(promises.outstanding(now + 29s), 1) << "5 s and a quarter of the wait later still";
  EXPECT_EQ(promises.outstanding(now + 31s), 0);
  EXPECT_FALSE(promises.due(hash).has_value());
  promises.make(hash, now + 60s, now + 40s);
  promises.keep(hash);
  EXPECT_EQ(promises.outstanding(now + 41s), 0);
}

}  // namespace
}  // namespace deepwell
