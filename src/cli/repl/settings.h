// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace deepwell {

/// One thing /set can set.
struct ChatSetting {
  std::string_view name, meaning;
  double low, high;
  bool whole;  ///< only whole numbers
};
const std::vector<ChatSetting>& all_chat_settings();

/// Errors: kInvalid, naming the setting, its range, or the name that was probably meant.
Result<double> parse_chat_setting(std::string_view name, std::string_view value);

std::string show_number(double value);  ///< 0.7, 40

/// The candidate most like `word`, or "" when none is near.
std::string nearest_word(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace deepwell
