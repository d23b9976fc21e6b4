// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deepwell {

/// Looks into JSON as it is written, so that the order of keys and the digits of numbers survive: prompts
/// show both, and a parsed document has lost them. Linear in the text, whatever it holds.
///
/// Except for is_json, all of these want valid JSON (DW_CHECK where they would run past its end).
bool is_json(std::string_view text);
/// The members of an object, in order: key (unescaped) and value as written. Empty if it is no object.
std::vector<std::pair<std::string, std::string_view>> json_members(std::string_view object);
/// The value of a key (the last one, if it stands twice); empty if there is none.
std::string_view json_member(std::string_view object, std::string_view key);
inline bool is_json_string(std::string_view value) { return !value.empty() && value.front() == '"'; }
std::string json_string(std::string_view value);  ///< unescaped; broken surrogates become U+FFFD

/// How numbers that are no integers are written.
enum class NumberStyle {
  kPython,  ///< 1e-05, 1e+16 (json.dumps)
  kRust,    ///< 0.00001, 1e+16 (serde_json)
};
/// The value as json.dumps(value, ensure_ascii=False) writes it: ", " and ": " between, plain characters.
std::string json_rewritten(std::string_view value, NumberStyle style);

}  // namespace deepwell
