// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace deepwell {

/// A flag or a positional argument as its users see it.
struct ArgumentOutline {
  std::vector<std::string> names;    ///< "--port", "-p"; of a positional: its one name, without dashes
  std::string description;           ///< one line
  std::string value;                 ///< what stands for its value, as "INT"; "" when it takes none
  std::vector<std::string> choices;  ///< the values it takes, where they are few
  std::string default_value;         ///< "" when there is none to show
  std::string environment;           ///< the variable that sets it too, or ""
  bool positional = false;
  bool required = false;
  bool repeats = false;
};

/// A command as its users see it: what completions and man pages are written from, so that neither goes
/// stale.
struct CommandOutline {
  std::string name, description, footer;
  std::vector<ArgumentOutline> arguments;
  std::vector<CommandOutline> commands;  ///< by name
};

/// Reads the tree; what is hidden from --help is left out here too.
CommandOutline outline_of(const CLI::App& app);

}  // namespace deepwell
