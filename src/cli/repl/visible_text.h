// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace deepwell {

/// `text` without control characters other than tab and line break: a model's words must not drive the
/// terminal (move the cursor, change the title, write to the clipboard). Whole UTF-8 characters in and out.
std::string visible_text(std::string_view text);

}  // namespace deepwell
