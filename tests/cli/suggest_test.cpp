// SPDX-License-Identifier: Apache-2.0
#include "cli/suggest.h"

#include <gtest/gtest.h>

#include <vector>

namespace deepwell {
namespace {

const std::vector<std::string> kKnown = {"bench", "list", "pull", "run", "serve"};

TEST(ClosestWord, FindsOneEditAway) {
  EXPECT_EQ(closest_word("serv", kKnown), "serve");    // a letter lost
  EXPECT_EQ(closest_word("servee", kKnown), "serve");  // one too many
  EXPECT_EQ(closest_word("selve", kKnown), "serve");   // another one
  EXPECT_EQ(closest_word("sreve", kKnown), "serve");   // two swapped
  EXPECT_EQ(closest_word("rnu", kKnown), "run");
}

TEST(ClosestWord, IsNothingWhenAllAreFar) {
  EXPECT_EQ(closest_word("zebra", kKnown), std::nullopt);
  EXPECT_EQ(closest_word("", kKnown), std::nullopt);
  EXPECT_EQ(closest_word("serve", {}), std::nullopt);
  EXPECT_EQ(closest_word(std::string(100'000, 'x'), kKnown), std::nullopt);
}

TEST(ClosestWord, PrefersTheFewestEdits) {
  const std::vector<std::string> two = {"pulled", "pull"};
  EXPECT_EQ(closest_word("pul", two), "pull");
}

}  // namespace
}  // namespace deepwell
