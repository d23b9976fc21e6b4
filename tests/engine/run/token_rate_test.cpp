// SPDX-License-Identifier: Apache-2.0
// Goal: the rate is that of the last ten whole seconds, and falls to nothing when nothing comes.
#include "engine/run/token_rate.h"

#include <gtest/gtest.h>

namespace deepwell {
namespace {

TEST(TokenRateTest, CountsTheLastTenSeconds) {
  const auto at = [](int milliseconds) {
    return TokenRate::Clock::time_point(std::chrono::milliseconds(1'000'000 + milliseconds));
  };
  TokenRate rate;
  EXPECT_EQ(rate.per_second(at(0)), 0);
  for (int i = 0; i < 300; ++i) rate.add(5, at(i * 100));  // 50 a second for half a minute
  EXPECT_DOUBLE_EQ(rate.per_second(at(30'000)), 50);
  EXPECT_DOUBLE_EQ(rate.per_second(at(35'500)), 25);
  EXPECT_DOUBLE_EQ(rate.per_second(at(40'000)), 0);
  EXPECT_DOUBLE_EQ(rate.per_second(at(4'000'000)), 0);
}

}  // namespace
}  // namespace deepwell
