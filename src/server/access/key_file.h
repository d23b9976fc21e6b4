// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"
#include "server/access/api_keys.h"

namespace deepwell {

/// Adds a new key to the file (which is made where it is not there) and returns its secret, which nothing
/// else will ever tell. Comments and other lines stay. The file changes at once or not at all.
/// Errors: kInvalid (the name is taken or is none, or the file is broken), kIo.
Result<std::string> add_key(const std::string& path, const std::string& name, Role role,
                            const KeyLimits& limits);
/// Removes the key of that name or id. Errors: kNotFound, kInvalid, kIo.
Status remove_key(const std::string& path, const std::string& name);

}  // namespace deepwell
