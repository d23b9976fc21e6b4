// SPDX-License-Identifier: Apache-2.0
#include "cli/flag_variables.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace deepwell {
namespace {

std::string variable_name(const std::string& flag) {
  std::string name = "DEEPWELL_" + flag;
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::toupper(c)); });
  return name;
}

}  // namespace

void name_flag_variables(CLI::App& root) {
  for (CLI::App* command : root.get_subcommands([](const CLI::App*) { return true; })) {
    command->parse_complete_callback(
        [] {});  // else CLI11 reads the variables of all commands, whichever runs
    if (command->get_option_no_throw("--config") != nullptr) continue;
    for (CLI::Option* option : command->get_options())
      if (!option->get_lnames().empty() && option != command->get_help_ptr() && option->get_envname().empty())
        option->envname(variable_name(option->get_lnames().front()));
  }
}

}  // namespace deepwell
