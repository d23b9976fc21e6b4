// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace deepwell {

/// An environment variable, "" when unset.
std::string environment(const char* name);
/// True for 1, true, yes, on, as Hugging Face's tools read their flags.
bool environment_flag(const char* name);

}  // namespace deepwell
