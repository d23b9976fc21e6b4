// SPDX-License-Identifier: Apache-2.0
// Goal: what checkpoints do not store of Engram's hashes follows from config.json as numpy has it. Method:
// tests/golden/engine/engram.txt (scripts/golden_engram.py), the released config.
#include "engine/checkpoint/engram_hash.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>

namespace deepwell {
namespace {

using Numbers = std::vector<std::int64_t>;

/// "primes 1" and so on: their numbers.
std::map<std::string, Numbers> golden() {
  std::ifstream file(DEEPWELL_SOURCE_DIR "/tests/golden/engine/engram.txt");
  std::map<std::string, Numbers> lines;
  for (std::string text; std::getline(file, text);) {
    std::istringstream words(text);
    std::string name, layer;
    words >> name >> layer;
    Numbers& line = lines[name + " " + layer];
    line.clear();
    for (std::int64_t number = 0; words >> number;) line.push_back(number);
  }
  return lines;
}

TEST(EngramHashTest, MultipliersAreWhatNumpyDraws) {
  auto want = golden();
  for (const std::int64_t layer : {1, 14})
    EXPECT_EQ(engram_hash::multipliers(layer, 4, 99092), want["multipliers " + std::to_string(layer)]);
  // default_rng(0).integers(0, (2**63 - 1) // 5 // 2, 3) * 2 + 1, and of a seed above 2^32
  EXPECT_EQ(engram_hash::multipliers(0, 3, 5),
            (Numbers{1174986923077707427, 497668646328925161, 75582810984899603}));
  EXPECT_EQ(engram_hash::multipliers(1000003, 3, 5),
            (Numbers{282966817419641145, 771905171139010769, 1382354042383255437}));
}

TEST(EngramHashTest, PrimesAreGivenOutOnce) {
  auto want = golden();
  Numbers both = want["primes 1"];
  both.insert(both.end(), want["primes 14"].begin(), want["primes 14"].end());
  ASSERT_EQ(both.size(), 48U);
  EXPECT_EQ(engram_hash::primes(6, 8, 16000000), both);
  EXPECT_EQ(engram_hash::primes(2, 3, 2), (Numbers{2, 3, 5, 7, 11, 13}));
}

}  // namespace
}  // namespace deepwell
