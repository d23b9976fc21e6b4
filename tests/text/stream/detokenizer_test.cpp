// SPDX-License-Identifier: Apache-2.0
// Goal: whatever the bytes and wherever they are cut, the text is Python's decode("utf-8", "replace").
// Method: goldens with a byte of every class in every order; every cut of short ones, seeded cuts of long
// ones.
#include "text/stream/detokenizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

namespace deepwell {
namespace {

struct Case {
  std::string bytes, text;
};

std::vector<Case> goldens() {
  std::ifstream file(DEEPWELL_SOURCE_DIR "/tests/golden/stream/utf8.json");
  std::vector<Case> cases;
  const auto golden = nlohmann::json::parse(file);
  for (const auto& row : golden.at("cases")) {
    const std::string hex = row.at(0);
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2)
      bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    cases.push_back({bytes, row.at(1)});
  }
  return cases;
}

bool is_cut(unsigned cuts, std::size_t after) { return ((cuts >> after) & 1U) != 0; }

TEST(Utf8StreamTest, EqualsPythonForEveryCutOfShortInputs) {
  const auto cases = goldens();
  ASSERT_GT(cases.size(), 10000U);
  for (const Case& c : cases) {
    if (c.bytes.size() > 9) continue;
    for (unsigned cuts = 0; cuts < 1U << (c.bytes.size() - 1); ++cuts) {
      Utf8Stream stream;
      std::string got, piece;
      for (std::size_t i = 0; i < c.bytes.size(); ++i) {
        piece.push_back(c.bytes[i]);
        if (!is_cut(cuts, i)) continue;
        got += stream.push(piece);
        piece.clear();
      }
      got += stream.push(piece);
      got += stream.finish();
      ASSERT_EQ(got, c.text) << "cuts " << cuts << " of " << testing::PrintToString(c.bytes);
    }
  }
}

TEST(Utf8StreamTest, EqualsPythonForLongInputsCutAtRandom) {
  std::mt19937 random(7);
  const auto cases = goldens();
  for (int round = 0; round < 200; ++round) {
    // Every golden ends where the next begins with 'A', so that their texts may be joined.
    std::string bytes, want;
    for (int i = 0; i < 50; ++i) {
      const Case& c = cases[random() % cases.size()];
      bytes += c.bytes + "A";
      want += c.text + "A";
    }
    Utf8Stream stream;
    std::string got;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t size = std::min<std::size_t>(random() % 5, bytes.size() - at);
      got += stream.push(std::string_view(bytes).substr(at, size));
      at += size;
    }
    got += stream.finish();
    ASSERT_EQ(got, want);
  }
}

TEST(Utf8StreamTest, HoldsBackOnlyWhatMayStillBecomeACharacter) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("a\xE4"), "a");
  EXPECT_EQ(stream.push("\xB8"), "");
  EXPECT_EQ(stream.push("\xAD"
                        "b"),
            "中b");
  EXPECT_EQ(stream.push("\xC0"), "\xEF\xBF\xBD");  // can never become one
  EXPECT_EQ(stream.finish(), "");
  EXPECT_EQ(stream.push("\xF0\x9F\x98"), "");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
  EXPECT_EQ(stream.push("ok"), "ok");  // usable again
}

}  // namespace
}  // namespace deepwell
