// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <system_error>

#include "base/result.h"

namespace deepwell {

/// Takes a line for the operator. From any thread.
using Report = std::function<void(const std::string& line)>;

/// What to do about a folder or file of --data-dir that `error` keeps from being written.
std::string advice_for(const std::error_code& error);
/// Makes a folder and those above it. Errors: kIo, with what to do.
Status make_kept_folder(const std::string& folder);
/// A damaged file loses its name, not its bytes: it becomes NAME.damaged, and the operator hears so. `what`
/// it was: "a batch".
void set_aside(const std::string& path, const char* what, const Report& report);

}  // namespace deepwell
