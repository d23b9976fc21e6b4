// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace deepwell {

/// The top level of a TOML file: every key with its value, or values of its list, as text. Tables are
/// refused. Errors: kIo, kInvalid with the line.
Result<std::map<std::string, std::vector<std::string>>> read_settings_file(const std::string& path);

}  // namespace deepwell
