// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <vector>

namespace deepwell {

/// One subcommand: a file of src/cli/commands. `add` declares flags on the app and returns what runs them;
/// it returns the exit code (0 done, 1 failed). Usage errors exit with 2 before that.
struct Command {
  std::function<std::function<int()>(CLI::App& app)> add;
};

/// Every file of commands/, in the folder's order.
const std::vector<Command>& all_commands();

}  // namespace deepwell
