// SPDX-License-Identifier: Apache-2.0
// Goal: flag > variable > config file > default, and a wrong config line is named.
#include "cli/settings.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace deepwell {
namespace {

class SettingsTest : public testing::Test {
 protected:
  SettingsTest() : app_("", "deepwell") {
    CLI::App* serve = app_.add_subcommand("serve");
    serve->add_option("--port", port_)->check(CLI::Range(1, 65535));
    serve->add_option("--cache-type", type_);
    serve->add_flag("--quiet", quiet_);
    app_.add_subcommand("doctor")->add_option("--port", doctor_port_);
    name_environment(app_);
  }
  ~SettingsTest() override { unsetenv("DEEPWELL_PORT"); }

  std::string error_of(const std::string& text) {
    const Status status = apply_config_text(app_, text, "c.toml");
    return status.ok() ? "" : status.error().message;
  }
  void parse(std::vector<const char*> words) {
    words.insert(words.begin(), "deepwell");
    app_.parse(static_cast<int>(words.size()), words.data());
  }

  CLI::App app_;
  int port_ = 8321, doctor_port_ = 8321;
  std::string type_ = "f16";
  bool quiet_ = false;
};

TEST_F(SettingsTest, TheFileSetsDefaults) {
  EXPECT_EQ(error_of("[serve]\nport = 9000\ncache-type = 'f32'\nquiet = true\n"), "");
  parse({"serve"});
  EXPECT_EQ(port_, 9000);
  EXPECT_EQ(type_, "f32");
  EXPECT_TRUE(quiet_);
  EXPECT_EQ(doctor_port_, 8321);
}

TEST_F(SettingsTest, AKeyAtTheTopIsForEveryCommandThatHasIt) {
  EXPECT_EQ(error_of("port = 9000\n"), "");
  EXPECT_EQ(port_, 9000);
  EXPECT_EQ(doctor_port_, 9000);
}

TEST_F(SettingsTest, AFlagWinsOverTheFile) {
  EXPECT_EQ(error_of("port = 9000\n"), "");
  parse({"serve", "--port", "9001"});
  EXPECT_EQ(port_, 9001);
}

TEST_F(SettingsTest, AVariableWinsOverTheFileAndAFlagOverBoth) {
  setenv("DEEPWELL_PORT", "9002", 1);
  EXPECT_EQ(error_of("port = 9000\n"), "");
  parse({"serve"});
  EXPECT_EQ(port_, 9002);
  parse({"serve", "--port", "9001"});
  EXPECT_EQ(port_, 9001);
}

TEST_F(SettingsTest, AWrongLineIsNamedWithWhatToDo) {
  EXPECT_EQ(error_of("\nprot = 1\n"), "c.toml:2: no command has a flag 'prot'; did you mean 'port'?");
  EXPECT_EQ(error_of("[serve]\nprot = 1\n"),
            "c.toml:2: 'deepwell serve' has no flag 'prot'; did you mean 'port'?");
  EXPECT_TRUE(error_of("[srve]\nport = 1\n").starts_with("c.toml:1: no command 'srve'"));
  EXPECT_TRUE(error_of("[serve]\nport = 'many'\n").starts_with("c.toml:2: "))
      << error_of("[serve]\nport = 'many'\n");
  EXPECT_TRUE(error_of("[serve]\nport = 70000\n").starts_with("c.toml:2: "));
  EXPECT_TRUE(error_of("port = [1, 2]\n").starts_with("c.toml:1: --port takes one"));
  EXPECT_TRUE(error_of("port = \n").starts_with("c.toml:1: "));
  EXPECT_TRUE(error_of("help = true\n").starts_with("c.toml:1: no command has a flag 'help'"));
}

TEST_F(SettingsTest, AMissingFileThatWasNamedIsAnError) {
  setenv("DEEPWELL_CONFIG", "/nowhere/deepwell.toml", 1);
  const auto path = find_config_file();
  unsetenv("DEEPWELL_CONFIG");
  ASSERT_FALSE(path.ok());
  EXPECT_NE(path.error().message.find("/nowhere/deepwell.toml"), std::string::npos);
}

}  // namespace
}  // namespace deepwell
