// SPDX-License-Identifier: Apache-2.0
#include "base/human.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace deepwell {
namespace {

TEST(Human, BytesAndCountsHaveThreeDigits) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "1.00 kB");
  EXPECT_EQ(human_bytes(98'870'000), "98.9 MB");
  EXPECT_EQ(human_bytes(999'499'999), "999 MB");
  EXPECT_EQ(human_bytes(999'500'000), "1.00 GB");
  EXPECT_EQ(human_bytes(404'000'000'000), "404 GB");
  EXPECT_EQ(human_bytes(-2'500'000), "-2.50 MB");
  EXPECT_EQ(human_bytes(std::numeric_limits<std::int64_t>::max()), "9.22 EB");
  EXPECT_EQ(human_count(134'515'008), "135M");
  EXPECT_EQ(human_count(671'026'419'200), "671B");
}

TEST(Human, DurationsAndGroups) {
  EXPECT_EQ(human_duration(0.4), "0s");
  EXPECT_EQ(human_duration(59.6), "1m00s");
  EXPECT_EQ(human_duration(245), "4m05s");
  EXPECT_EQ(human_duration(7620), "2h07m");
  EXPECT_EQ(human_duration(-1), "?");
  EXPECT_EQ(human_duration(std::nan("")), "?");
  EXPECT_EQ(human_duration(1e300), "?");
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1'234'567), "1,234,567");
  EXPECT_EQ(grouped(-123'456), "-123,456");
}

TEST(Human, PrintableKeepsCharactersAndEscapesTheRest) {
  EXPECT_EQ(printable("plain \xe4\xb8\xad \xf0\x9f\x90\x8b"), "plain \xe4\xb8\xad \xf0\x9f\x90\x8b");
  EXPECT_EQ(printable("a\n\t\x1b[0m\x7f"), "a\\n\\t\\x1b[0m\\x7f");
  EXPECT_EQ(printable("\xff\xc0\xaf\xed\xa0\x80"), "\\xff\\xc0\\xaf\\xed\\xa0\\x80");
  EXPECT_EQ(printable("\xe4\xb8"), "\\xe4\\xb8");
  EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");  // C1: a terminal would obey it
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(printable("abcdef", 3), "abc...");
  EXPECT_EQ(printable("abc", 3), "abc");
}

}  // namespace
}  // namespace deepwell
