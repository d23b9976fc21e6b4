// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace deepwell {

/// index.html of this folder, put into the binary by embed.cmake.
std::string_view chat_page();

}  // namespace deepwell
