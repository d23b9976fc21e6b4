// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "base/result.h"

namespace deepwell {

/// What clients call a model: the name it was asked for by, or its file's without ending and part number.
std::string id_for(const std::string& name, const std::string& path);

struct Alias {
  std::string name, id;
};

/// What `--alias NAME[=MODEL]` means: the first of `ids`, or the one with the id MODEL or that was asked for
/// as MODEL (`given[i]` became `ids[i]`). kInvalid where there is no such model.
Result<Alias> parse_alias(const std::string& text, std::span<const std::string> given,
                          std::span<const std::string> ids);

}  // namespace deepwell
