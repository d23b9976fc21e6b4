// SPDX-License-Identifier: Apache-2.0
#include "cli/repl/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

namespace deepwell {

const std::vector<ChatSetting>& all_chat_settings() {
  static const std::vector<ChatSetting> all = {
      {"temperature", "how freely words are chosen; 0 always takes the likeliest", 0, 10, false},
      {"top_p", "choose among the likeliest words that hold this share", 0, 1, false},
      {"top_k", "choose among this many words; 0 for all", 0, 1e6, true},
      {"min_p", "leave out words less likely than this share of the likeliest", 0, 1, false},
      {"repeat_penalty", "above 1 avoids words already used", 0.1, 10, false},
      {"frequency_penalty", "above 0 avoids words the more often they were used", -2, 2, false},
      {"presence_penalty", "above 0 avoids words once used", -2, 2, false},
      {"max_tokens", "the longest answer; -1 for no limit", -1, 1e9, true},
      {"thinking", "1 lets the model think first, 0 has it answer at once", 0, 1, true},
      {"seed", "the same seed gives the same answer", 0, 9007199254740991.0, true},
  };
  return all;
}

Result<double> parse_chat_setting(std::string_view name, std::string_view value) {
  const auto& all = all_chat_settings();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const ChatSetting& s) { return s.name == name; });
  if (found == all.end()) {
    std::vector<std::string_view> names;
    names.reserve(all.size());
    for (const ChatSetting& setting : all) names.push_back(setting.name);
    const std::string near = nearest_word(name, names);
    return Error{ErrorCode::kInvalid,
                 fmt::format("no setting \"{}\"{}; /set lists all", name,
                             near.empty() ? "" : fmt::format(", did you mean {}?", near))};
  }
  double number = 0;
  const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), number);
  const bool parsed = failed == std::errc() && end == value.data() + value.size() && std::isfinite(number);
  if (!parsed || number < found->low || number > found->high ||
      (found->whole && number != std::floor(number)))
    return Error{ErrorCode::kInvalid, fmt::format("{} takes a {}number from {} to {}, not \"{}\"", name,
                                                  found->whole ? "whole " : "", show_number(found->low),
                                                  show_number(found->high), value)};
  return number;
}

std::string show_number(double value) {
  return value == std::floor(value) && std::fabs(value) < 1e16 ? fmt::format("{:.0f}", value)
                                                               : fmt::format("{}", value);
}

namespace {
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}
}  // namespace

std::string nearest_word(std::string_view word, const std::vector<std::string_view>& candidates) {
  constexpr std::size_t kWordBytesMax = 40;  // longer ones are no typing mistake
  if (word.empty() || word.size() > kWordBytesMax) return "";
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = candidate.starts_with(word) ? 1 : edit_distance(word, candidate);
    if (distance < best_distance) best = candidate, best_distance = distance;
  }
  return std::string(best);
}

}  // namespace deepwell
