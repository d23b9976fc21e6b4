// SPDX-License-Identifier: Apache-2.0
// Goal: a flag wins over its variable, and that over the default.
#include "cli/flag_variables.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace deepwell {
namespace {

class FlagVariablesTest : public testing::Test {
 protected:
  FlagVariablesTest() : app_("", "deepwell") {
    CLI::App* bench = app_.add_subcommand("bench");
    bench->add_option("--cache-type", type_);
    bench->add_flag("--fast", fast_);
    bench->add_option("--port", port_)->check(CLI::Range(1, 65535));
    CLI::App* serve = app_.add_subcommand("serve");
    serve->add_option("--cache-type", serve_type_);
    serve->add_option("--config", config_);
    name_flag_variables(app_);
    setenv("DEEPWELL_CACHE_TYPE", "f32", 1);
  }
  ~FlagVariablesTest() override {
    unsetenv("DEEPWELL_CACHE_TYPE");
    unsetenv("DEEPWELL_FAST");
    unsetenv("DEEPWELL_PORT");
  }
  void parse(std::vector<const char*> words) {
    words.insert(words.begin(), "deepwell");
    app_.parse(static_cast<int>(words.size()), words.data());
  }

  CLI::App app_;
  std::string type_ = "f16", serve_type_ = "f16", config_;
  bool fast_ = false;
  int port_ = 80;
};

TEST_F(FlagVariablesTest, AVariableSetsTheFlag) {
  setenv("DEEPWELL_FAST", "1", 1);
  parse({"bench"});
  EXPECT_EQ(type_, "f32");
  EXPECT_TRUE(fast_);
}

TEST_F(FlagVariablesTest, TheFlagWins) {
  parse({"bench", "--cache-type", "bf16"});
  EXPECT_EQ(type_, "bf16");
}

TEST_F(FlagVariablesTest, ACommandWithItsOwnConfigIsLeftAlone) {
  parse({"serve"});
  EXPECT_EQ(serve_type_, "f16");
}

TEST_F(FlagVariablesTest, AVariableOfACommandThatDoesNotRunIsNotLookedAt) {
  setenv("DEEPWELL_PORT", "0", 1);
  EXPECT_NO_THROW(parse({"serve"}));
  EXPECT_EQ(port_, 80);
  EXPECT_THROW(parse({"bench"}), CLI::ValidationError);
}

}  // namespace
}  // namespace deepwell
