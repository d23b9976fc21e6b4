// SPDX-License-Identifier: Apache-2.0
#include "base/human.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include "base/bytes.h"

namespace deepwell {
namespace {

// Three digits of value / 1000^n, where n is the largest that keeps it at or above 1.
template <std::size_t N>
std::string scaled(std::int64_t value, const std::array<const char*, N>& units) {
  if (value > -1000 && value < 1000) return fmt::format("{}{}", value, units[0]);
  double shown = static_cast<double>(value);
  std::size_t unit = 0;
  // 999.5 would be printed as 1000 of a unit: it is 1.00 of the next.
  while (std::abs(shown) >= 999.5 && unit + 1 < N) {
    shown /= 1000;
    ++unit;
  }
  const int decimals = std::abs(shown) < 9.995 ? 2 : std::abs(shown) < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}{}", shown, decimals, units[unit]);
}

}  // namespace

std::string human_bytes(std::int64_t bytes) {
  static constexpr std::array units{" B", " kB", " MB", " GB", " TB", " PB", " EB"};
  return scaled(bytes, units);
}

std::string human_count(std::int64_t count) {
  static constexpr std::array units{"", "k", "M", "B", "T", "Q"};
  return scaled(count, units);
}

std::string human_duration(double seconds) {
  if (!(seconds >= 0) || seconds > 99.0 * 86400) return "?";
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}h{:02}m", whole / 3600, whole % 3600 / 60);
}

std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  const std::size_t first = number < 0 ? 1 : 0;
  for (std::size_t i = text.size(); i > first + 3;) text.insert(i -= 3, ",");
  return text;
}

std::string printable(std::string_view text, std::size_t bytes_max) {
  std::string out;
  std::size_t i = 0;
  while (i < text.size()) {
    if (out.size() >= bytes_max) return out + "...";
    const auto byte = static_cast<unsigned char>(text[i]);
    std::size_t length = 1;
    bool shown = byte >= 0x20 && byte < 0x7F;
    if (byte >= 0x80) {
      for (length = 2; length <= 4 && !shown; ++length)
        shown = is_utf8(text.substr(i, length)) && i + length <= text.size();
      length = shown ? length - 1 : 1;
      if (shown && byte == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0)
        shown = false, length = 1;  // C1 controls
    }
    if (shown)
      out.append(text.substr(i, length));
    else if (byte == '\n')
      out += "\\n";
    else if (byte == '\t')
      out += "\\t";
    else
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    i += length;
  }
  return out;
}

}  // namespace deepwell
