// SPDX-License-Identifier: Apache-2.0
// Goal: what a person mistypes ends in one line that says what and what to do, with exit code 2.
#include "cli/app.h"

#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/version.h"

namespace deepwell {
namespace {

// Two commands: "serve [MODEL] --port N" returns 7, "pull NAME" returns 0.
std::vector<Command> sample_commands() {
  return {{[](CLI::App& app) -> std::function<int()> {
            CLI::App* sub = app.add_subcommand("serve", "Serve models");
            auto port = std::make_shared<int>(1);
            auto model = std::make_shared<std::string>();
            sub->add_option("--port", *port, "The port")->check(CLI::Range(1, 65535));
            sub->add_option("MODEL", *model, "The model");
            return [port, model] { return *port == 2 ? 7 : (*model == "pull" ? 8 : 9); };
          }},
          {[](CLI::App& app) -> std::function<int()> {
            app.add_subcommand("pull", "Fetch a model");
            return [] { return 0; };
          }}};
}

struct Outcome {
  int code;
  std::string out, err;
};

Outcome run(std::vector<const char*> words) {
  words.insert(words.begin(), "deepwell");
  const auto commands = sample_commands();
  CommandLine line = make_command_line(commands);
  std::ostringstream out, err;
  const int code = run_command_line(line, static_cast<int>(words.size()), words.data(), out, err);
  return {code, out.str(), err.str()};
}

void expect_one_line(const std::string& text) {
  EXPECT_TRUE(text.starts_with("deepwell: ")) << text;
  EXPECT_EQ(text.find('\n'), text.size() - 1) << text;
}

TEST(CommandLineTest, RunsTheChosenCommandAndReturnsItsCode) {
  EXPECT_EQ(run({"serve", "--port", "2"}).code, 7);
  EXPECT_EQ(run({"pull"}).code, 0);
}

TEST(CommandLineTest, ACommandsNameCanBeAnArgument) { EXPECT_EQ(run({"serve", "pull"}).code, 8); }

TEST(CommandLineTest, SuggestsACommandForASlip) {
  const Outcome outcome = run({"srve"});
  EXPECT_EQ(outcome.code, 2);
  expect_one_line(outcome.err);
  EXPECT_NE(outcome.err.find("unknown command 'srve'; did you mean 'serve'?"), std::string::npos)
      << outcome.err;
}

TEST(CommandLineTest, SuggestsNothingFarFetched) {
  const Outcome outcome = run({"zebra"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err, "deepwell: unknown command 'zebra'; see 'deepwell --help'\n");
}

TEST(CommandLineTest, SuggestsAFlagForASlip) {
  const Outcome outcome = run({"serve", "--prot=2"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err,
            "deepwell: unknown flag '--prot'; did you mean '--port'? see 'deepwell serve --help'\n");
}

TEST(CommandLineTest, AWrongValueOrArgumentIsWrongUsage) {
  for (const auto& words : std::vector<std::vector<const char*>>{
           {"serve", "--port", "many"}, {"serve", "--port", "70000"}, {"serve", "--port"}, {"pull", "a"}}) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.code, 2);
    expect_one_line(outcome.err);
    EXPECT_EQ(outcome.out, "");
  }
}

TEST(CommandLineTest, HelpAndVersionGoToStdout) {
  const Outcome help = run({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_NE(help.out.find("Examples:"), std::string::npos);
  EXPECT_NE(run({"serve", "--help"}).out.find("--port"), std::string::npos);
  EXPECT_EQ(run({"--version"}).out, "deepwell " + std::string(version()) + "\n");
}

TEST(CommandLineTest, NothingToDoShowsHelpOnStderr) {
  const Outcome outcome = run({});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("serve"), std::string::npos);
  EXPECT_EQ(outcome.out, "");
}

}  // namespace
}  // namespace deepwell
