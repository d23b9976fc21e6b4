// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace deepwell {

/// Joins token bytes into text, holding back an incomplete UTF-8 character until it is whole.
/// Bytes that can never become valid are replaced by U+FFFD, as Python's decode("utf-8", "replace") does.
class Utf8Stream {
 public:
  std::string push(std::string_view bytes);  ///< what is now certain: whole characters only
  std::string finish();                      ///< what was held back, repaired

 private:
  std::string held_;
};

}  // namespace deepwell
