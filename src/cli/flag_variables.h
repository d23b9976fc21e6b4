// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

namespace deepwell {

/// Gives every long flag of every command its variable: --cache-type is also DEEPWELL_CACHE_TYPE; the flag
/// wins. A command reads its variables when it is the one that runs: another's may bound the same
/// name otherwise. Commands with a --config of their own are left alone: they weigh flag, variable and file
/// themselves.
void name_flag_variables(CLI::App& root);

}  // namespace deepwell
