// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "server/request/api_error.h"

namespace deepwell {

/// An error as Anthropic's clients know it.
std::string anthropic_error(const ApiError& error);

}  // namespace deepwell
