// SPDX-License-Identifier: Apache-2.0
// Goal: key files are read as written, and only whole keys open.
#include "server/app/api_keys.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace deepwell {
namespace {

TEST(ApiKeys, ReadsAFileAndComparesWholeKeys) {
  const std::string path = testing::TempDir() + "deepwell_keys.txt";
  std::ofstream(path) << "# the team\n\n  secret-one  \r\nsecret-two\n";
  const auto keys = ApiKeys::load(path);
  ASSERT_TRUE(keys.ok());
  EXPECT_TRUE(keys->allows("secret-one"));
  EXPECT_TRUE(keys->allows("secret-two"));
  for (const char* wrong : {"", "secret", "secret-one ", "SECRET-ONE", "# the team"})
    EXPECT_FALSE(keys->allows(wrong));
  std::remove(path.c_str());
}

TEST(ApiKeys, AnEmptyOrMissingFileIsAnError) {
  const std::string path = testing::TempDir() + "deepwell_no_keys.txt";
  std::ofstream(path) << "# nothing\n";
  EXPECT_FALSE(ApiKeys::load(path).ok());
  std::remove(path.c_str());
  const auto missing = ApiKeys::load(path);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find(path), std::string::npos);
}

}  // namespace
}  // namespace deepwell
