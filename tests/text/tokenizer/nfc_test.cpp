// SPDX-License-Identifier: Apache-2.0
// Goal: text is composed as UAX #15 says, any bytes are taken, and no text takes the square of its length.
// Method: cases of each rule, broken UTF-8, a very long run of marks; golden_test.cpp has Hugging Face's
// word.
#include "text/tokenizer/nfc.h"

#include <gtest/gtest.h>

#include "support/cpu_time.h"

namespace deepwell {
namespace {

std::string nfc(std::string_view text) {
  std::string memory;
  return std::string(to_nfc(text, memory));
}

TEST(NfcTest, ComposesAndOrders) {
  EXPECT_EQ(nfc("plain"), "plain");
  EXPECT_EQ(nfc("re\u0301sume\u0301"), "r\u00e9sum\u00e9");
  EXPECT_EQ(nfc("\u1112\u1161\u11ab"), "\ud55c");   // Hangul by rule
  EXPECT_EQ(nfc("a\u0307\u0323"), "\u1ea1\u0307");  // marks change places, then one composes
  EXPECT_EQ(nfc("\u212b"), "\u00c5");               // one character for another
  EXPECT_EQ(nfc("\u0958"), "\u0915\u093c");         // excluded from composition
  EXPECT_EQ(nfc(">\u0338"), "\u226f");
  EXPECT_EQ(nfc("\u0301"), "\u0301");
  EXPECT_EQ(nfc(""), "");
}

TEST(NfcTest, BrokenBytesStayAndPart) {
  EXPECT_EQ(nfc("e\u0301\xFF"
                "e\u0301"),
            "\u00e9\xFF\u00e9");
  EXPECT_EQ(nfc("e\xFF\u0301"), "e\xFF\u0301");
  EXPECT_EQ(nfc("\xE4\xBD"), "\xE4\xBD");
  EXPECT_EQ(nfc("a\xED\xA0\x80\u0301"), "a\xED\xA0\x80\u0301");
}

TEST(NfcTest, ALongRunOfMarksTakesNoLongTime) {
  std::string text = "e";
  for (int i = 0; i < 200'000; ++i) text += i % 2 == 0 ? "\u0301" : "\u0323";
  const double begin = testing_support::cpu_seconds();
  EXPECT_EQ(nfc(text).size(), text.size());  // e and a dot below are one character of three bytes
  EXPECT_LT(testing_support::cpu_seconds() - begin, 10);
}

}  // namespace
}  // namespace deepwell
