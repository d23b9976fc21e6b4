// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace deepwell {

/// The one of `known` that `word` is probably a slip of: the fewest edits (a swap of neighbours is one), at
/// most a third of the longer word's length; the first of equals. Nothing when all are further off.
std::optional<std::string> closest_word(std::string_view word, std::span<const std::string> known);

}  // namespace deepwell
