// SPDX-License-Identifier: Apache-2.0
#include "store/messages.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "base/human.h"

namespace deepwell {
namespace {

std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

std::string small_letters(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

/// Names that contain the word, or differ from it in few letters.
std::vector<std::string> near_names(const std::vector<CacheEntry>& entries, const std::string& word) {
  if (word.size() > 300) return {};
  const std::string wanted = small_letters(word);
  std::vector<std::pair<std::size_t, std::string>> scored;
  // The one name that may be meant before it is there.
  if (wanted != "default" && edits(wanted, "default") <= 2)
    scored.emplace_back(edits(wanted, "default"), "default");
  for (const CacheEntry& entry : entries) {
    const std::string full = small_letters(entry.model.name);
    const std::string repo = small_letters(entry.name.repo);
    std::size_t score = std::min(edits(wanted, full), edits(wanted, repo));
    if (wanted.size() >= 3 && full.find(wanted) != full.npos) score = 0;
    if (score <= std::max<std::size_t>(1, wanted.size() / 3)) scored.emplace_back(score, entry.model.name);
  }
  std::sort(scored.begin(), scored.end());
  std::vector<std::string> names;
  for (std::size_t i = 0; i < scored.size() && i < 3; ++i)
    if (names.empty() || names.back() != scored[i].second) names.push_back(scored[i].second);
  return names;
}

}  // namespace

std::string near_names_hint(const std::vector<CacheEntry>& entries, const std::string& word) {
  const std::vector<std::string> near = near_names(entries, word);
  return near.empty()
             ? ""
             : fmt::format("; did you mean {}?", printable(fmt::format("{}", fmt::join(near, " or "))));
}

Error several_fit(const std::vector<CacheEntry>& fit, const std::string& name) {
  std::vector<std::string> names;
  for (const CacheEntry& entry : fit) names.push_back(entry.model.name);
  return {ErrorCode::kInvalid, fmt::format("{} may be any of: {}; write one of these", printable(name, 200),
                                           printable(fmt::format("{}", fmt::join(names, ", "))))};
}

}  // namespace deepwell
