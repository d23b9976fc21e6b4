// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace deepwell {

struct ProcessResult {
  int exit_code = 0;   ///< 128 + signal when it was killed
  std::string output;  ///< the last 16 KiB of stdout and stderr together
};

/// Runs a program found in PATH, with these very arguments: no shell reads them. `alive` is called ten times
/// a second; false ends the program (kCancelled). Errors: kNotFound (no such program), kIo.
Result<ProcessResult> run_process(const std::vector<std::string>& arguments,
                                  const std::function<bool()>& alive);

}  // namespace deepwell
