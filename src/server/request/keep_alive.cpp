// SPDX-License-Identifier: Apache-2.0
#include "server/request/keep_alive.h"

#include <charconv>
#include <cmath>
#include <string_view>

namespace deepwell {
namespace {

/// Seconds of "1h30m"; nothing for what is no duration.
std::optional<double> duration_of(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text == "0") return 0;
  double sum = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || !(number >= 0) || !std::isfinite(number)) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    static constexpr struct {
      std::string_view name;
      double seconds;
    } kUnits[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};
    const auto* unit = std::begin(kUnits);
    while (unit != std::end(kUnits) && !text.starts_with(unit->name)) ++unit;
    if (unit == std::end(kUnits)) return std::nullopt;
    text.remove_prefix(unit->name.size());
    sum += number * unit->seconds;
  }
  return negative ? -sum : sum;
}

}  // namespace

std::optional<double> read_keep_alive(JsonReader& reader) {
  const Json* value = reader.any("keep_alive");
  if (value == nullptr || !reader.ok()) return std::nullopt;
  std::optional<double> seconds;
  if (value->is_number()) seconds = value->get<double>();
  if (value->is_string()) seconds = duration_of(value->get<std::string>());
  if (!seconds || !std::isfinite(*seconds)) {
    reader.fail("keep_alive", "'keep_alive' must be seconds, or a duration such as \"5m\"");
    return std::nullopt;
  }
  return *seconds < 0 ? -1 : *seconds;
}

}  // namespace deepwell
