// SPDX-License-Identifier: Apache-2.0
#include "cli/suggest.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace deepwell {
namespace {

// Optimal string alignment: insert, delete, replace or swap neighbours, each one edit.
std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

}  // namespace

std::optional<std::string> closest_word(std::string_view word, std::span<const std::string> known) {
  constexpr std::size_t kWordMax = 64;  // nobody mistypes more; keeps the cost of foreign input small
  std::optional<std::string> best;
  std::size_t fewest = 0;
  if (word.empty() || word.size() > kWordMax) return best;
  for (const std::string& candidate : known) {
    const std::size_t distance = edits(word, candidate);
    if (distance * 3 > std::max(word.size(), candidate.size())) continue;
    if (!best || distance < fewest) {
      best = candidate;
      fewest = distance;
    }
  }
  return best;
}

}  // namespace deepwell
