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

TEST(ApiKeys, AFileNeedNotTellTheKeys) {
  const std::string path = testing::TempDir() + "deepwell_hashed_keys.txt";
  // printf secret | sha256sum
  std::ofstream(path) << "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\nplain\n";
  const auto keys = ApiKeys::load(path);
  ASSERT_TRUE(keys.ok()) << keys.error().message;
  EXPECT_TRUE(keys->allows("secret"));
  EXPECT_TRUE(keys->allows("plain"));
  EXPECT_FALSE(keys->allows("sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"));
  std::ofstream(path) << "plain\nsha256:2bb8\n";
  const auto broken = ApiKeys::load(path);
  ASSERT_FALSE(broken.ok());
  EXPECT_NE(broken.error().message.find("line 2"), std::string::npos) << broken.error().message;
  std::remove(path.c_str());
}

TEST(ApiKeys, AUsersNameDoesNotTellTheKey) {
  EXPECT_EQ(ApiKeys::user_of("secret"), ApiKeys::user_of("secret"));
  EXPECT_NE(ApiKeys::user_of("secret"), ApiKeys::user_of("other"));
  EXPECT_EQ(ApiKeys::user_of("secret").find("secret"), std::string::npos);
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
