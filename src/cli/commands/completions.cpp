// SPDX-License-Identifier: Apache-2.0
// deepwell completions SHELL: a completion script, written from the command tree itself.
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/completion_script.h"

namespace deepwell {

Command command_commands_completions() {
  return {[](CLI::App& app) -> std::function<int()> {
    CLI::App* sub = app.add_subcommand("completions", "Print a completion script for a shell");
    auto shell = std::make_shared<std::string>();
    const auto shells = completion_shells();
    sub->add_option("SHELL", *shell, "The shell to complete in")
        ->required()
        ->check(CLI::IsMember(std::vector<std::string>(shells.begin(), shells.end())));
    sub->footer(
        "Examples:\n"
        "  deepwell completions bash > ~/.local/share/bash-completion/completions/deepwell\n"
        "  deepwell completions zsh > ~/.zfunc/_deepwell     (a folder of $fpath)\n"
        "  deepwell completions fish > ~/.config/fish/completions/deepwell.fish");
    return [shell, &app] {
      const auto script = completion_script(*shell, outline_of(app));
      if (!script.ok()) {
        std::cerr << "deepwell: " << script.error().message << '\n';
        return 1;
      }
      std::cout << *script << std::flush;
      return std::cout ? 0 : 1;
    };
  }};
}

}  // namespace deepwell
