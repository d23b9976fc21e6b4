// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"

namespace deepwell {

/// Gives every long flag of every command its variable: --cache-type is also DEEPWELL_CACHE_TYPE.
void name_environment(CLI::App& root);

/// The config file: DEEPWELL_CONFIG, else XDG_CONFIG_HOME/deepwell/config.toml, else
/// ~/.config/deepwell/config.toml.
/// "" when there is none (a file that DEEPWELL_CONFIG names must exist).
Result<std::string> find_config_file();

/// Reads a TOML file into the flags' defaults, so that a variable or a flag on the command line still wins. A
/// key at the top sets the flag of that name of every command that has it; [serve] port = 9000 that of one
/// command. Errors name file, line, and what to do.
Status apply_config_file(CLI::App& root, const std::string& path);

/// The same for text; `path` only for messages.
Status apply_config_text(CLI::App& root, const std::string& text, const std::string& path);

}  // namespace deepwell
