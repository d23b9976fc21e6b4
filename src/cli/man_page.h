// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/outline.h"

namespace deepwell {

struct ManPage {
  std::string file_name;  ///< "deepwell-serve.1"
  std::string text;       ///< roff, man macros
};

/// One page for the program and one for each command; the same tree gives the same bytes.
std::vector<ManPage> man_pages(const CommandOutline& program);

}  // namespace deepwell
