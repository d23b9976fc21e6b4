// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace deepwell {

/// "0.1.0", from project() in the top CMakeLists.txt: the one place that names it.
std::string_view version();

}  // namespace deepwell
