// SPDX-License-Identifier: Apache-2.0
// Goal: completions and man pages name every command, flag and choice of the tree, and survive any
// description.
#include "cli/outline.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "cli/completion_script.h"
#include "cli/man_page.h"
#include "support/temp_dir.h"

namespace deepwell {
namespace {

class OutlineTest : public testing::Test {
 protected:
  OutlineTest() : app_("It's a program: with [brackets]", "deepwell") {
    CLI::App* serve = app_.add_subcommand("serve", "Serve; don't stop");
    serve->add_option("MODEL", model_, "The model")->required();
    serve->add_option("--port,-p", port_, "The port [1:65535]")
        ->capture_default_str()
        ->envname("DEEPWELL_PORT");
    serve->add_option("--log", log_, "How much to say")->check(CLI::IsMember({"quiet", "loud"}));
    serve->add_flag("--verbose", verbose_, "\\ and .dots");
    serve->add_flag("--secret", verbose_, "hidden")->group("");
    app_.add_subcommand("bench", "Measure")->footer(".starts with a dot\n'and a quote");
  }

  const ArgumentOutline& argument(const std::string& name) {
    outline_ = outline_of(app_);
    for (const ArgumentOutline& one : outline_.commands.at(1).arguments)
      if (one.names.front() == name) return one;
    ADD_FAILURE() << "no argument " << name;
    return outline_.commands.at(1).arguments.front();
  }

  // Runs a checker over the script when this machine has it; says so when it has not.
  void expect_parses(const std::string& shell) {
    if (std::system(("command -v " + shell + " >/dev/null 2>&1").c_str()) != 0) {
      std::printf("not checked: no %s here\n", shell.c_str());
      return;
    }
    const testing_support::TempDir folder;
    const std::string path = folder / "completion";
    std::ofstream(path) << *completion_script(shell, outline_of(app_));
    EXPECT_EQ(std::system((shell + " -n '" + path + "'").c_str()), 0);
  }

  CLI::App app_;
  CommandOutline outline_;
  std::string model_, log_;
  int port_ = 8321;
  bool verbose_ = false;
};

TEST_F(OutlineTest, ReadsTheTree) {
  EXPECT_EQ(argument("--port").names, (std::vector<std::string>{"--port", "-p"}));
  EXPECT_EQ(argument("--port").default_value, "8321");
  EXPECT_EQ(argument("--port").environment, "DEEPWELL_PORT");
  EXPECT_EQ(argument("--port").value, "INT");
  EXPECT_EQ(argument("--verbose").value, "");
  EXPECT_EQ(argument("--log").choices.size(), 2U);
  EXPECT_TRUE(argument("MODEL").positional);
  EXPECT_TRUE(argument("MODEL").required);
  EXPECT_EQ(outline_.commands.front().name, "bench");
}

TEST_F(OutlineTest, LeavesOutWhatIsHidden) {
  outline_ = outline_of(app_);
  for (const ArgumentOutline& one : outline_.commands.at(1).arguments)
    EXPECT_NE(one.names.front(), "--secret");
}

TEST_F(OutlineTest, EveryShellsScriptNamesEverything) {
  for (const std::string& shell : completion_shells()) {
    SCOPED_TRACE(shell);
    const std::string script = completion_script(shell, outline_of(app_)).value();
    for (const char* word : {"serve", "bench", "port", "verbose", "quiet", "loud", "default"})
      EXPECT_NE(script.find(word), std::string::npos) << word;
    EXPECT_EQ(script.find("secret"), std::string::npos);
  }
}

TEST_F(OutlineTest, EveryShellsScriptParses) {
  for (const std::string& shell : completion_shells()) expect_parses(shell);
}

TEST_F(OutlineTest, AnUnknownShellIsAnErrorThatListsTheKnown) {
  const auto script = completion_script("tcsh", outline_of(app_));
  ASSERT_FALSE(script.ok());
  EXPECT_NE(script.error().message.find("bash, zsh, fish"), std::string::npos);
}

TEST_F(OutlineTest, ThereIsAManPageForEachCommand) {
  const auto pages = man_pages(outline_of(app_));
  ASSERT_EQ(pages.size(), 3U);
  EXPECT_EQ(pages[0].file_name, "deepwell.1");
  EXPECT_EQ(pages[2].file_name, "deepwell-serve.1");
  EXPECT_NE(pages[2].text.find("\\fB\\-\\-port\\fR, \\fB\\-p\\fR \\fIINT\\fR"), std::string::npos)
      << pages[2].text;
  EXPECT_NE(pages[2].text.find("Environment: DEEPWELL_PORT."), std::string::npos);
}

TEST_F(OutlineTest, TextNeverBecomesARequestOfTheManPage) {
  const auto pages = man_pages(outline_of(app_));
  EXPECT_NE(pages[1].text.find("\n\\&.starts with a dot\n\\&'and a quote\n"), std::string::npos)
      << pages[1].text;
  EXPECT_NE(pages[2].text.find("\\e and .dots"), std::string::npos);
}

}  // namespace
}  // namespace deepwell
