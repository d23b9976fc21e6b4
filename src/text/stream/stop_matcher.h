// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace deepwell {

/// Finds stop strings in text that arrives in pieces, across the borders of pieces. Text that could still
/// become a stop string is held back; text held back in vain is never lost.
class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops);  ///< empty strings are ignored
  struct Output {
    std::string text;      ///< may be shown now
    bool stopped = false;  ///< a stop string was found; text ends just before it
    std::string stop;      ///< which one
  };
  Output push(std::string_view piece);
  std::string finish();  ///< no stop came: what was held back

 private:
  std::vector<std::string> stops_;
  std::string held_;
};

}  // namespace deepwell
