// SPDX-License-Identifier: Apache-2.0
// Goal: what clients call a model: from the word that asked for it, and by an alias; a wrong alias is told.
#include "server/serve/model_names.h"

#include <gtest/gtest.h>

#include <vector>

namespace deepwell {
namespace {

TEST(ModelNames, AFilesNameWithoutEndingAndPart) {
  EXPECT_EQ(id_for("default", "/hub/SmolLM2.gguf"), "default");
  EXPECT_EQ(id_for("/m/v2.gguf", "/m/v2.gguf"), "v2");
  EXPECT_EQ(id_for("/m/v3-00001-of-00009.gguf", "/m/v3-00001-of-00009.gguf"), "v3");
}

class AliasTest : public testing::Test {
 protected:
  const std::vector<std::string> given_{"default", "/m/v2.gguf"}, ids_{"default", "v2"};
};

TEST_F(AliasTest, MeansTheFirstOrTheOneNamedByWordOrId) {
  for (const auto& [text, id] :
       {std::pair("chat", "default"), {"chat=v2", "v2"}, {"chat=/m/v2.gguf", "v2"}}) {
    const auto alias = parse_alias(text, given_, ids_);
    ASSERT_TRUE(alias) << text;
    EXPECT_EQ(alias->name, "chat");
    EXPECT_EQ(alias->id, id);
  }
}

TEST_F(AliasTest, AnUnknownModelIsToldWithThoseThereAre) {
  const auto alias = parse_alias("chat=v4", given_, ids_);
  ASSERT_FALSE(alias);
  EXPECT_EQ(alias.error().message, "--alias chat=v4: no model 'v4' is served; there is default, v2");
}

}  // namespace
}  // namespace deepwell
