// SPDX-License-Identifier: Apache-2.0
#include "engine/run/repeat_drafter.h"

namespace deepwell {

void RepeatDrafter::append(std::int32_t token) {
  history_.push_back(token);
  before_.push_back(-1);
  const std::size_t at = history_.size() - 1;
  if (at == 0) return;
  const auto [found, fresh] = last_.try_emplace(pair_at(at), static_cast<std::int32_t>(at));
  if (fresh) return;
  before_.back() = found->second;
  found->second = static_cast<std::int32_t>(at);
}

/// How many tokens up to `earlier` are the latest ones.
int RepeatDrafter::matched(std::int32_t earlier) const {
  int same = 0;
  const auto last = static_cast<std::int32_t>(history_.size()) - 1;
  while (same < kLongest && same <= earlier &&
         history_[static_cast<std::size_t>(earlier - same)] ==
             history_[static_cast<std::size_t>(last - same)])
    ++same;
  return same;
}

int RepeatDrafter::guess(int most, std::vector<std::int32_t>& tokens) const {
  tokens.clear();
  if (history_.empty()) return 0;
  std::int32_t place = -1;
  int longest = 0;
  std::int32_t at = before_.back();
  for (int tries = 0; at >= 0 && tries < kTries && longest < kLongest; ++tries) {
    if (const int same = matched(at); same > longest) {
      longest = same;
      place = at;
    }
    at = before_[static_cast<std::size_t>(at)];
  }
  if (longest < kShortest) return 0;
  const std::size_t first = static_cast<std::size_t>(place) + 1, period = history_.size() - first;
  for (std::size_t i = 0; i < static_cast<std::size_t>(most); ++i)
    tokens.push_back(history_[first + i % period]);
  return longest;
}

}  // namespace deepwell
