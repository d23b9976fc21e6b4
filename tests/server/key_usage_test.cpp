// SPDX-License-Identifier: Apache-2.0
// Goal: limits hold on average, the wait they name is the true one, and no jump of the wall clock matters.
// Method: time is the test's.
#include "server/access/key_usage.h"

#include <gtest/gtest.h>

namespace deepwell {
namespace {
using namespace std::chrono_literals;
using Time = MinuteBucket::Time;

Time at(double seconds) {
  return Time(1h) + std::chrono::duration_cast<Time::duration>(std::chrono::duration<double>(seconds));
}

TEST(MinuteBucket, TheWaitItNamesIsEnoughAndNotTooMuch) {
  MinuteBucket bucket;
  for (int i = 0; i < 60; ++i) EXPECT_EQ(bucket.take(1, 60, at(0)), 0) << i;
  const double wait = bucket.take(1, 60, at(0));
  EXPECT_NEAR(wait, 1, 1e-6);
  EXPECT_GT(bucket.take(1, 60, at(wait - 0.01)), 0) << "asked too early";
  EXPECT_EQ(bucket.take(1, 60, at(wait)), 0);
  EXPECT_NEAR(bucket.seconds_until_full(60, at(wait)), 60, 1e-6);
  EXPECT_EQ(bucket.remaining(60, at(wait + 60)), 60);
}

TEST(MinuteBucket, MoreThanTheLimitIsADebt) {
  MinuteBucket bucket;
  EXPECT_EQ(bucket.take(300, 100, at(0)), 0) << "it would never fit otherwise";
  EXPECT_EQ(bucket.remaining(100, at(60)), 0);
  EXPECT_NEAR(bucket.take(100, 100, at(60)), 120, 1e-6);
  EXPECT_EQ(bucket.take(100, 100, at(180)), 0);
}

TEST(MinuteBucket, TimeThatStandsStillOrGoesBackGivesNothing) {
  MinuteBucket bucket;
  EXPECT_EQ(bucket.take(10, 10, at(100)), 0);
  EXPECT_GT(bucket.take(1, 10, at(100)), 0);
  EXPECT_GT(bucket.take(1, 10, at(0)), 0);
  EXPECT_EQ(bucket.take(1, 10, at(107)), 0);
}

TEST(KeyUsage, OpenRequestsAreCountedUntilTheyAreOver) {
  const auto usage = std::make_shared<KeyUsage>();
  const KeyLimits limits{.parallel = 2};
  std::optional<KeyUsage::Refusal> refusal;
  const auto one = usage->enter(limits, at(0), refusal);
  auto two = usage->enter(limits, at(0), refusal);
  EXPECT_FALSE(refusal);
  usage->enter(limits, at(0), refusal);
  ASSERT_TRUE(refusal);
  EXPECT_NE(refusal->message.find("2 requests open"), std::string::npos);
  refusal.reset();
  one->release();
  one->release();  // counts once
  const auto three = usage->enter(limits, at(0), refusal);
  EXPECT_FALSE(refusal);
  usage->enter(limits, at(0), refusal);
  EXPECT_TRUE(refusal);
  refusal.reset();
  two.reset();
  usage->enter(limits, at(0), refusal);
  EXPECT_FALSE(refusal);
}

TEST(KeyUsage, TokensAreSetAsideAndSettled) {
  const auto usage = std::make_shared<KeyUsage>();
  const KeyLimits limits{.tokens_per_minute = 600};
  std::optional<KeyUsage::Refusal> refusal;
  const auto one = usage->enter(limits, at(0), refusal);
  EXPECT_FALSE(one->reserve(500, at(0)));
  const auto two = usage->enter(limits, at(0), refusal);
  const auto wait = two->reserve(200, at(0));
  ASSERT_TRUE(wait);
  EXPECT_NEAR(wait->retry_seconds, 10, 1e-6);
  one->settle(50, at(0));  // it was far less
  EXPECT_FALSE(two->reserve(200, at(0)));
  EXPECT_EQ(two->headroom(at(0)).tokens_left, 350);
  two->settle(600, at(0));  // it was more: nobody had said how much
  EXPECT_EQ(two->headroom(at(0)).tokens_left, 0);
  EXPECT_NEAR(two->headroom(at(0)).tokens_reset_seconds, 65, 1e-6);
}

TEST(KeyUsage, ARefusedRequestCostsNothing) {
  const auto usage = std::make_shared<KeyUsage>();
  const KeyLimits limits{.requests_per_minute = 1};
  std::optional<KeyUsage::Refusal> refusal;
  usage->enter(limits, at(0), refusal);
  EXPECT_FALSE(refusal);
  for (int i = 0; i < 5; ++i) {
    usage->enter(limits, at(i), refusal);
    ASSERT_TRUE(refusal);
    EXPECT_NEAR(refusal->retry_seconds, 60 - i, 1e-6);
    refusal.reset();
  }
  usage->enter(limits, at(60), refusal);
  EXPECT_FALSE(refusal);
}

}  // namespace
}  // namespace deepwell
