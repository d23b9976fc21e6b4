// SPDX-License-Identifier: Apache-2.0
// Goal: key files are read as written, and only whole keys open.
#include "server/access/api_keys.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "server/access/key_file.h"
#include "support/temp_dir.h"

namespace deepwell {
namespace {

bool opens(const ApiKeys& keys, std::string_view key) { return keys.find(key) != nullptr; }

TEST(ApiKeys, ReadsAFileAndComparesWholeKeys) {
  const testing_support::TempDir folder;
  const std::string path = folder / "keys.txt";
  std::ofstream(path) << "# the team\n\n  secret-one  \r\nsecret-two\n";
  const auto keys = ApiKeys::load(path);
  ASSERT_TRUE(keys.ok());
  EXPECT_TRUE(opens(*keys, "secret-one"));
  EXPECT_TRUE(opens(*keys, "secret-two"));
  for (const char* wrong : {"", "secret", "secret-one ", "SECRET-ONE", "# the team"})
    EXPECT_FALSE(opens(*keys, wrong));
  std::remove(path.c_str());
}

TEST(ApiKeys, AFileNeedNotTellTheKeys) {
  const testing_support::TempDir folder;
  const std::string path = folder / "keys.txt";
  // printf secret | sha256sum
  std::ofstream(path) << "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\nplain\n";
  const auto keys = ApiKeys::load(path);
  ASSERT_TRUE(keys.ok()) << keys.error().message;
  EXPECT_TRUE(opens(*keys, "secret"));
  EXPECT_TRUE(opens(*keys, "plain"));
  EXPECT_FALSE(opens(*keys, "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"));
  std::ofstream(path) << "plain\nsha256:2bb8\n";
  const auto broken = ApiKeys::load(path);
  ASSERT_FALSE(broken.ok());
  EXPECT_NE(broken.error().message.find("line 2"), std::string::npos) << broken.error().message;
  std::remove(path.c_str());
}

TEST(ApiKeys, AnIdDoesNotTellTheKey) {
  ApiKeys keys;
  keys.add("secret");
  keys.add("other");
  EXPECT_EQ(keys.find("secret")->id().find("secret"), std::string::npos);
  EXPECT_NE(keys.find("secret")->id(), keys.find("other")->id());
}

TEST(ApiKeys, RolesNamesAndLimits) {
  const auto keys = ApiKeys::parse(
      "one name=ann role=admin\n  two\trequests-per-minute=60 tokens-per-minute=1000 parallel-requests=4\r\n",
      "keys");
  ASSERT_TRUE(keys.ok()) << keys.error().message;
  EXPECT_EQ(keys->find("one")->name, "ann");
  EXPECT_EQ(keys->find("one")->role, Role::kAdmin);
  EXPECT_EQ(keys->find("one")->limits, KeyLimits());
  EXPECT_EQ(keys->find("two")->role, Role::kUser);
  EXPECT_EQ(keys->find("two")->limits, (KeyLimits{60, 1000, 4}));
  const auto again = ApiKeys::parse(keys->find("two")->line(), "keys");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->find("two")->limits, (KeyLimits{60, 1000, 4})) << "a line says what it was read from";
}

TEST(ApiKeys, WrongLinesAreNamedAndNeverQuoteTheKey) {
  for (const auto& [text, part] : std::initializer_list<std::pair<const char*, const char*>>{
           {"secret-key\nsecret-key\n", "line 2: this key stands above"},
           {"a name=x\nb name=x\n", "'x'"},
           {"a name=\n", "name="},
           {"a name=with/slash\n", "name="},
           {"a role=root\n", "user or admin"},
           {"a parallel-requests=0\n", "whole number"},
           {"a tokens-per-minute=1e9\n", "whole number"},
           {"a requests-per-minute=-1\n", "whole number"},
           {"secret-key with spaces\n", "line 1: after the key come"}}) {
    const auto keys = ApiKeys::parse(text, "keys");
    ASSERT_FALSE(keys.ok()) << text;
    EXPECT_NE(keys.error().message.find(part), std::string::npos) << keys.error().message;
    EXPECT_EQ(keys.error().message.find("secret"), std::string::npos) << keys.error().message;
    EXPECT_EQ(keys.error().message.find("spaces"), std::string::npos) << keys.error().message;
  }
}

TEST(KeyFile, AddsAndRemovesWithoutTouchingTheRest) {
  const testing_support::TempDir folder;
  const std::string path = folder / "keys.txt";
  std::remove(path.c_str());
  const auto ann = add_key(path, "ann", Role::kUser, {.tokens_per_minute = 5000});
  ASSERT_TRUE(ann.ok()) << ann.error().message;
  EXPECT_EQ(std::filesystem::status(path).permissions() & std::filesystem::perms::others_all,
            std::filesystem::perms::none);
  std::ofstream(path, std::ios::app) << "# by hand\nplain name=bob";
  std::filesystem::permissions(path,
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const auto ops = add_key(path, "ops", Role::kAdmin, {});
  ASSERT_TRUE(ops.ok()) << ops.error().message;
  EXPECT_NE(*ann, *ops);
  EXPECT_FALSE(add_key(path, "ops", Role::kUser, {}).ok());
  EXPECT_FALSE(add_key(path, "two words", Role::kUser, {}).ok());
  auto keys = ApiKeys::load(path);
  ASSERT_TRUE(keys.ok()) << keys.error().message;
  EXPECT_EQ(keys->find(*ann)->limits.tokens_per_minute, 5000);
  EXPECT_EQ(keys->find(*ops)->role, Role::kAdmin);
  EXPECT_TRUE(opens(*keys, "plain"));
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(text.find(*ann), std::string::npos) << "the secret itself is nowhere";
  EXPECT_NE(text.find("# by hand"), std::string::npos);
  EXPECT_EQ(std::filesystem::status(path).permissions() & std::filesystem::perms::group_all,
            std::filesystem::perms::none)
      << "who might not read it still may not";

  EXPECT_TRUE(remove_key(path, "bob").ok());
  EXPECT_TRUE(remove_key(path, keys->find(*ann)->id()).ok());
  EXPECT_FALSE(remove_key(path, "nobody").ok());
  keys = ApiKeys::load(path);
  ASSERT_TRUE(keys.ok());
  EXPECT_FALSE(opens(*keys, "plain"));
  EXPECT_FALSE(opens(*keys, *ann));
  EXPECT_TRUE(opens(*keys, *ops));
  std::remove(path.c_str());
  EXPECT_FALSE(remove_key(path, "ann").ok());
}

TEST(ApiKeys, AnEmptyOrMissingFileIsAnError) {
  const testing_support::TempDir folder;
  const std::string path = folder / "keys.txt";
  std::ofstream(path) << "# nothing\n";
  EXPECT_FALSE(ApiKeys::load(path).ok());
  std::remove(path.c_str());
  const auto missing = ApiKeys::load(path);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find(path), std::string::npos);
}

}  // namespace
}  // namespace deepwell
