// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/alike.h"

#include <utf8proc.h>

#include <array>
#include <optional>
#include <unordered_map>

#include "text/tokenizer/byte_alphabet.h"

namespace deepwell {
namespace {

using Points = std::vector<utf8proc_int32_t>;

constexpr utf8proc_int32_t kReplacement = 0xFFFD;
/// What stands for a blank that is alone while those at the ends are taken away; in a text, it becomes one.
constexpr utf8proc_int32_t kAlone = 0xE000;

/// The text's characters in compatibility's decomposed form (NFKD, which composing and decomposing once more
/// does not change); nothing where it is no text.
std::optional<Points> decomposed(const std::string& text) {
  const auto* const bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto size = static_cast<utf8proc_ssize_t>(text.size());
  for (utf8proc_ssize_t at = 0; at < size;) {
    utf8proc_int32_t point = -1;
    const utf8proc_ssize_t step = utf8proc_iterate(bytes + at, size - at, &point);
    if (step <= 0 || point == kReplacement) return std::nullopt;
    at += step;
  }
  constexpr auto kOptions =
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
  Points points(text.size());
  for (;;) {
    const utf8proc_ssize_t count = utf8proc_decompose(bytes, size, points.data(),
                                                      static_cast<utf8proc_ssize_t>(points.size()), kOptions);
    if (count < 0) return std::nullopt;
    const bool fits = static_cast<std::size_t>(count) <= points.size();
    points.resize(static_cast<std::size_t>(count));
    if (fits) return points;
  }
}

bool is_blank(utf8proc_int32_t point) {  // White_Space, as far as it survives decomposition
  return (point >= 9 && point <= 13) || point == ' ' || point == 0x85 || point == 0x1680 || point == 0x2028 ||
         point == 0x2029;
}

bool is_mark(utf8proc_int32_t point) {
  const utf8proc_category_t category = utf8proc_category(point);
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
         category == UTF8PROC_CATEGORY_ME;
}

std::string without_accents_and_case(const Points& points) {
  Points kept;
  for (const utf8proc_int32_t point : points) {
    if (is_mark(point)) continue;
    const bool run = point == ' ' || point == '\t' || point == '\r' || point == '\n';
    if (run && !kept.empty() && kept.back() == ' ') continue;
    kept.push_back(run ? ' ' : utf8proc_tolower(point));
  }
  auto begin = kept.begin(), end = kept.end();
  const bool alone = kept.size() == 1 && kept[0] == ' ';
  while (!alone && begin != end && is_blank(*begin)) ++begin;
  while (!alone && begin != end && is_blank(end[-1])) --end;
  std::string text;
  for (; begin != end; ++begin) {
    std::array<utf8proc_uint8_t, 4> letter{};
    const auto size = utf8proc_encode_char(*begin == kAlone ? ' ' : *begin, letter.data());
    text.append(reinterpret_cast<const char*>(letter.data()), static_cast<std::size_t>(size));
  }
  return text;
}

/// What tokens that read alike have in common.
std::string key_of(const std::string& token) {
  const std::string text = byte_alphabet::bytes_of(token).value_or(token);
  const auto points = decomposed(text);
  if (!points) return token;
  std::string key = without_accents_and_case(*points);
  return key.empty() ? text : key;
}

}  // namespace

std::vector<std::int32_t> numbers_of_alike(std::span<const std::string> tokens) {
  std::unordered_map<std::string, std::int32_t> numbers;
  std::vector<std::int32_t> result;
  result.reserve(tokens.size());
  for (const std::string& token : tokens)
    result.push_back(numbers.emplace(key_of(token), static_cast<std::int32_t>(numbers.size())).first->second);
  return result;
}

}  // namespace deepwell
