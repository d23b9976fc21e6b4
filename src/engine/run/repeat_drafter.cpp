// SPDX-License-Identifier: Apache-2.0
#include "engine/run/repeat_drafter.h"

namespace deepwell {
namespace {

/// The two tokens that end at `at`.
std::uint64_t pair_at(std::span<const std::int32_t> text, std::size_t at) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(text[at - 1])) << 32 |
         static_cast<std::uint32_t>(text[at]);
}

/// How many tokens up to `earlier` are the latest ones.
int matched(std::span<const std::int32_t> text, std::int32_t earlier) {
  int same = 0;
  const auto last = static_cast<std::int32_t>(text.size()) - 1;
  while (same < RepeatDrafter::kLongest && same <= earlier &&
         text[static_cast<std::size_t>(earlier - same)] == text[static_cast<std::size_t>(last - same)])
    ++same;
  return same;
}

}  // namespace

void RepeatDrafter::learn(std::span<const std::int32_t> text) {
  while (before_.size() < text.size()) {
    const std::size_t at = before_.size();
    before_.push_back(-1);
    if (at == 0) continue;
    const auto [found, fresh] = last_.try_emplace(pair_at(text, at), static_cast<std::int32_t>(at));
    if (fresh) continue;
    before_.back() = found->second;
    found->second = static_cast<std::int32_t>(at);
  }
}

int RepeatDrafter::guess(std::span<const std::int32_t> text, int most, std::vector<std::int32_t>& guess) {
  guess.clear();
  learn(text);
  if (text.empty()) return 0;
  std::int32_t place = -1;
  int longest = 0;
  std::int32_t at = before_.back();
  for (int tries = 0; at >= 0 && tries < kTries && longest < kLongest; ++tries) {
    if (const int same = matched(text, at); same > longest) {
      longest = same;
      place = at;
    }
    at = before_[static_cast<std::size_t>(at)];
  }
  if (longest < kShortest) return 0;
  const std::size_t first = static_cast<std::size_t>(place) + 1, period = text.size() - first;
  for (std::size_t i = 0; i < static_cast<std::size_t>(most); ++i) guess.push_back(text[first + i % period]);
  return longest;
}

}  // namespace deepwell
