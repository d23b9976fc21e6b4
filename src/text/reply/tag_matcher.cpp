// SPDX-License-Identifier: Apache-2.0
#include "text/reply/tag_matcher.h"

#include <algorithm>

#include "base/check.h"

namespace deepwell {

TagMatcher::TagMatcher(std::vector<Tag> tags) {
  for (Tag& tag : tags) {
    DW_CHECK(!tag.text.empty());
    std::vector<std::size_t> fallback(tag.text.size(), 0);
    for (std::size_t i = 1, border = 0; i < tag.text.size(); ++i) {
      while (border > 0 && tag.text[i] != tag.text[border]) border = fallback[border - 1];
      if (tag.text[i] == tag.text[border]) ++border;
      fallback[i] = border;
    }
    states_.push_back({std::move(tag), std::move(fallback)});
  }
}

bool TagMatcher::State::advance(char c) {
  const std::size_t before = length;
  while (length > 0 && tag.text[length] != c) length = fallback[length - 1];
  if (tag.text[length] == c) ++length;
  if (length == before + 1) return length == tag.text.size();
  // What came before is no part of a tag after all. A newline counts where no tag was begun.
  const bool counts = c == '\n' && before == 0 && tag.takes_newlines;
  newlines = counts ? std::min(newlines + 1, kMaxNewlines) : 0;
  return false;
}

std::optional<std::size_t> TagMatcher::push(char c) {
  std::optional<std::size_t> best;
  held_ = matched_ = 0;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    State& state = states_[i];
    if (state.advance(c)) {
      const std::size_t bytes = state.length + state.newlines;
      if (!best || bytes > matched_) {
        best = i;
        matched_ = bytes;
      }
    }
    held_ = std::max(held_, state.length + state.newlines);
  }
  if (!best) return best;
  for (State& state : states_) state.length = state.newlines = 0;
  held_ = 0;
  return best;
}

}  // namespace deepwell
