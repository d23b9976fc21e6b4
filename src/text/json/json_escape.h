// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace deepwell {

/// The inside of a JSON string; characters beyond ASCII stay as they are.
std::string json_escaped(std::string_view text);
/// Blanks, tabs and line ends.
inline bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
std::string_view without_blanks(std::string_view text);  ///< around it

}  // namespace deepwell
