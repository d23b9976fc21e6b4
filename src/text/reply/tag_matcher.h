// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace deepwell {

/// Finds tags in text that comes byte by byte. The tag that is complete first wins; of several complete at
/// the same byte, the longest. So nothing depends on how the text was cut.
class TagMatcher {
 public:
  struct Tag {
    std::string text;             ///< not empty
    bool takes_newlines = false;  ///< the newlines just before it belong to it (kMaxNewlines at most)
  };
  static constexpr std::size_t kMaxNewlines = 256;

  TagMatcher() = default;
  explicit TagMatcher(std::vector<Tag> tags);
  /// The index of a tag that `c` completes. Then nothing is held; matched_bytes() tells how much it took.
  std::optional<std::size_t> push(char c);
  std::size_t matched_bytes() const { return matched_; }
  std::size_t held() const { return held_; }  ///< trailing bytes that may be the beginning of a tag

 private:
  struct State {
    Tag tag;
    std::vector<std::size_t> fallback;  // (text) the longest proper border of each prefix
    std::size_t length = 0;             // bytes of the tag that the stream ends in
    std::size_t newlines = 0;           // newlines before those
    bool advance(char c);
  };
  std::vector<State> states_;
  std::size_t held_ = 0, matched_ = 0;
};

}  // namespace deepwell
