// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace deepwell {

/// Finds stop strings in text that arrives in pieces, across the borders of pieces. Text that could still
/// become a stop string is held back; text held back in vain is never lost.
///
/// The stop string that is complete first wins; of several that end at the same byte, the longest. So the
/// result does not depend on where the pieces are cut. Time: bytes pushed times stop strings.
class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops);  ///< empty strings are ignored
  struct Output {
    std::string text;      ///< may be shown now
    bool stopped = false;  ///< a stop string was found; text ends just before it
    std::string stop;      ///< which one
  };
  Output push(std::string_view piece);  ///< after a stop: nothing but that stop again
  std::string finish();                 ///< no stop came: what was held back

 private:
  struct Stop {
    std::string text;
    std::vector<std::size_t> fallback;  // (text) the longest proper border of each prefix
    std::size_t matched = 0;            // bytes of text that the stream ends in now
    bool advance(char c);               // is text complete now?
  };
  std::vector<Stop> stops_;
  std::string held_;
  std::size_t begin_ = 0;  // of held_: what comes before was given out, and is dropped now and then
  bool stopped_ = false;
  std::string stop_;
};

}  // namespace deepwell
