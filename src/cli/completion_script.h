// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/outline.h"

namespace deepwell {

/// The shells there is a script for.
std::span<const std::string> completion_shells();

/// What the shell reads to complete `program`'s commands, flags and values. kUnsupported for another shell.
Result<std::string> completion_script(std::string_view shell, const CommandOutline& program);

}  // namespace deepwell
