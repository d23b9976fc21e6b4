// SPDX-License-Identifier: Apache-2.0
// Goal: guesses are what followed the longest earlier match, and no more of them are verified than pays.
// Method: small texts with known repeats; a brute-force search over random ones; passes and luck made up.
#include <gtest/gtest.h>

#include <random>

#include "engine/run/draft_budget.h"
#include "engine/run/repeat_drafter.h"

namespace deepwell {
namespace {

using Tokens = std::vector<std::int32_t>;

int guess_after(const Tokens& text, int most, Tokens& guess) {
  RepeatDrafter drafter;
  Tokens begun;  // it learns as the text grows
  for (std::int32_t token : text) {
    begun.push_back(token);
    drafter.guess(begun, most, guess);
  }
  return drafter.guess(text, most, guess);
}

TEST(RepeatDrafter, ContinuesAsTheTextDidBefore) {
  Tokens guess;
  EXPECT_EQ(guess_after({1, 2, 3, 4, 5, 9, 2, 3}, 3, guess), 2);
  EXPECT_EQ(guess, (Tokens{4, 5, 9}));
}

TEST(RepeatDrafter, PrefersTheLongerMatchAndThenTheLater) {
  Tokens guess;
  EXPECT_EQ(guess_after({7, 1, 2, 50, 8, 1, 2, 60, 7, 1, 2}, 1, guess), 3);
  EXPECT_EQ(guess, (Tokens{50})) << "7 1 2 went before 50";
  EXPECT_EQ(guess_after({1, 2, 50, 8, 1, 2, 60, 9, 1, 2}, 1, guess), 2);
  EXPECT_EQ(guess, (Tokens{60}));
}

TEST(RepeatDrafter, AShortPeriodGoesOn) {
  Tokens guess;
  guess_after({5, 6, 7, 6, 7, 6, 7}, 5, guess);
  EXPECT_EQ(guess, (Tokens{6, 7, 6, 7, 6}));
}

TEST(RepeatDrafter, SaysNothingWithoutAMatch) {
  Tokens guess = {1};
  EXPECT_EQ(guess_after({}, 4, guess), 0);
  EXPECT_TRUE(guess.empty());
  EXPECT_EQ(guess_after({3}, 4, guess), 0);
  EXPECT_EQ(guess_after({1, 2, 3, 4}, 4, guess), 0);
  EXPECT_EQ(guess_after({4, 1, 4}, 4, guess), 0) << "one token alone is chance";
  EXPECT_TRUE(guess.empty());
}

TEST(RepeatDrafter, FindsWhatASearchOfTheWholeTextFinds) {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    Tokens text(30 + random() % 30);
    for (std::int32_t& token : text) token = static_cast<std::int32_t>(random() % 4);
    int longest = 0;
    for (std::size_t end = 0; end + 1 < text.size(); ++end) {
      int same = 0;
      while (same < RepeatDrafter::kLongest && static_cast<std::size_t>(same) <= end &&
             text[end - static_cast<std::size_t>(same)] ==
                 text[text.size() - 1 - static_cast<std::size_t>(same)])
        ++same;
      longest = std::max(longest, same);
    }
    Tokens guess;
    const int found = guess_after(text, 1, guess);
    if (longest < RepeatDrafter::kShortest) {
      EXPECT_EQ(found, 0);
    } else {
      EXPECT_EQ(found, longest);
      EXPECT_EQ(guess.size(), 1U);
    }
  }
}

TEST(StepCost, LearnsTheLine) {
  StepCost cost;
  EXPECT_GT(cost.of_one_more(1), 0.1) << "cautious at first";
  for (int i = 0; i < 40; ++i) cost.observe(1 + i % 5, 0.010 + 0.001 * (1 + i % 5));
  EXPECT_NEAR(cost.of_one_more(1), 1.0 / 11, 0.01);
  EXPECT_NEAR(cost.of_one_more(10), 1.0 / 20, 0.01);
}

TEST(DraftBudget, VerifiesMoreWhereGuessesComeTrueAndRowsAreCheap) {
  DraftBudget lucky, unlucky;
  for (int i = 0; i < 30; ++i) {
    lucky.observe(6, 6);
    unlucky.observe(6, 0);
  }
  EXPECT_EQ(lucky.worth(0.05, 8), 8);
  EXPECT_EQ(unlucky.worth(0.05, 8), 0);
  EXPECT_LE(lucky.worth(1.0, 8), 1) << "where every row costs a pass nothing is gained";
}

TEST(DraftBudget, TriesAgainNowAndThen) {
  DraftBudget budget;
  for (int i = 0; i < 60; ++i) budget.observe(8, 0);
  int tried = 0;
  for (int pass = 0; pass < 100; ++pass) tried += budget.worth(0.3, 8);
  EXPECT_GT(tried, 0);
  EXPECT_LT(tried, 10);
}

}  // namespace
}  // namespace deepwell
