// SPDX-License-Identifier: Apache-2.0
#include "text/stream/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace deepwell {

StopMatcher::StopMatcher(std::vector<std::string> stops) {
  for (std::string& text : stops) {
    if (text.empty()) continue;
    Stop stop{std::move(text), {0}, 0};
    std::size_t border = 0;
    for (std::size_t i = 1; i < stop.text.size(); ++i) {
      while (border > 0 && stop.text[i] != stop.text[border]) border = stop.fallback[border - 1];
      if (stop.text[i] == stop.text[border]) ++border;
      stop.fallback.push_back(border);
    }
    stops_.push_back(std::move(stop));
  }
}

// Knuth, Morris, Pratt: no byte is looked at twice, however long the stop string is.
bool StopMatcher::Stop::advance(char c) {
  while (matched > 0 && text[matched] != c) matched = fallback[matched - 1];
  if (text[matched] == c) ++matched;
  return matched == text.size();
}

StopMatcher::Output StopMatcher::push(std::string_view piece) {
  if (stopped_) return {"", true, stop_};
  if (stops_.empty()) return {std::string(piece), false, ""};
  for (std::size_t i = 0; i < piece.size(); ++i) {
    const Stop* found = nullptr;
    for (Stop& stop : stops_)
      if (stop.advance(piece[i]) && (found == nullptr || stop.text.size() > found->text.size()))
        found = &stop;
    if (found == nullptr) continue;
    held_ += piece.substr(0, i + 1);
    stopped_ = true;
    stop_ = found->text;
    Output output{held_.substr(begin_, held_.size() - begin_ - stop_.size()), true, stop_};
    held_.clear();
    begin_ = 0;
    return output;
  }
  held_ += piece;
  std::size_t keep = 0;
  for (const Stop& stop : stops_) keep = std::max(keep, stop.matched);
  const std::size_t end = held_.size() - keep;
  Output output{held_.substr(begin_, end - begin_), false, ""};
  begin_ = end;
  if (begin_ > held_.size() / 2) {  // dropping costs at most what was given out since the last time
    held_.erase(0, begin_);
    begin_ = 0;
  }
  return output;
}

std::string StopMatcher::finish() {
  std::string rest = held_.substr(begin_);
  held_.clear();
  begin_ = 0;
  for (Stop& stop : stops_) stop.matched = 0;
  return rest;
}

}  // namespace deepwell
