// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <iosfwd>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "cli/command.h"

namespace deepwell {

/// The command line as a tree: the root app, one subcommand a file of commands/, and what runs each.
struct CommandLine {
  std::unique_ptr<CLI::App> root;
  std::map<const CLI::App*, std::function<int()>> run;  ///< by subcommand
};

/// Builds the tree; `commands` is all_commands() but in tests.
CommandLine make_command_line(std::span<const Command> commands);

/// Parses, runs the chosen command and returns its exit code: 0 done, 1 failed, 2 wrong usage (one line on
/// `err` that says what to do). Help and version go to `out`.
int run_command_line(CommandLine& line, int argc, const char* const* argv, std::ostream& out,
                     std::ostream& err);

/// Both of the above over all_commands(), after the environment's settings proved sound.
int run_cli(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

}  // namespace deepwell
