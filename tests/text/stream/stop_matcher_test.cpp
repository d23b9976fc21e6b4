// SPDX-License-Identifier: Apache-2.0
// Goal: the stop string complete first ends the text, however the text is cut; nothing else is ever lost.
// Method: a plain definition over the whole text against every cut of short texts over a small alphabet.
#include "text/stream/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>

#include "support/cpu_time.h"

namespace deepwell {
namespace {

struct Answer {
  std::string text, stop;
  bool operator==(const Answer&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Answer& a) {
  return out << '"' << a.text << "\" stop \"" << a.stop << '"';
}

Answer definition(const std::string& text, const std::vector<std::string>& stops) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::string longest;
    for (const std::string& stop : stops)
      if (!stop.empty() && text.substr(0, end).ends_with(stop) && stop.size() > longest.size())
        longest = stop;
    if (!longest.empty()) return {text.substr(0, end - longest.size()), longest};
  }
  return {text, ""};
}

Answer streamed(const std::string& text, const std::vector<std::string>& stops, unsigned cuts) {
  StopMatcher matcher(stops);
  Answer answer;
  std::string piece;
  for (std::size_t i = 0; i < text.size(); ++i) {
    piece.push_back(text[i]);
    if (((cuts >> i) & 1U) == 0 && i + 1 < text.size()) continue;
    const auto output = matcher.push(piece);
    answer.text += output.text;
    answer.stop = output.stop;
    if (output.stopped) return answer;
    piece.clear();
  }
  answer.text += matcher.finish();
  return answer;
}

TEST(StopMatcherTest, EqualsTheDefinitionForEveryCut) {
  std::mt19937 random(3);
  const auto word = [&](std::size_t longest) {
    std::string text(random() % (longest + 1), ' ');
    for (char& c : text) c = static_cast<char>('a' + random() % 3);
    return text;
  };
  int stopped = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::string text = word(10);
    const std::vector<std::string> stops = {word(4), word(5), word(6)};
    const Answer want = definition(text, stops);
    stopped += want.stop.empty() ? 0 : 1;
    for (unsigned cuts = 0; cuts < 1U << (text.empty() ? 0 : text.size() - 1); ++cuts)
      ASSERT_EQ(streamed(text, stops, cuts), want)
          << text << " stops " << testing::PrintToString(stops) << " cuts " << cuts;
  }
  EXPECT_GT(stopped, 500);
  EXPECT_LT(stopped, 2900);
}

TEST(StopMatcherTest, HoldsBackTheStartOfAStopAndNothingMore) {
  StopMatcher matcher({"</end>", "\n\n"});
  EXPECT_EQ(matcher.push("Hello <").text, "Hello ");
  EXPECT_EQ(matcher.push("/e").text, "");
  EXPECT_EQ(matcher.push("x\n").text, "</ex");
  const auto output = matcher.push("\nmore");
  EXPECT_TRUE(output.stopped);
  EXPECT_EQ(output.text, "");
  EXPECT_EQ(output.stop, "\n\n");
  EXPECT_TRUE(matcher.push("and more").stopped);
  EXPECT_EQ(matcher.push("and more").text, "");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcherTest, WithoutStopsTextPassesThrough) {
  StopMatcher matcher({"", ""});
  EXPECT_EQ(matcher.push("abc").text, "abc");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcherTest, StaysQuickWhenMuchIsHeldBack) {
  // A stop of a million characters that the text keeps almost matching: naive search takes minutes here.
  StopMatcher matcher({std::string(1'000'000, 'a') + "b", "zz"});
  std::size_t given = 0;
  const double start = testing_support::cpu_seconds();
  for (int i = 0; i < 30'000; ++i) given += matcher.push(std::string(100, 'a')).text.size();
  given += matcher.finish().size();
  EXPECT_EQ(given, 3'000'000U);
  EXPECT_LT(testing_support::cpu_seconds() - start, 20);
}

}  // namespace
}  // namespace deepwell
