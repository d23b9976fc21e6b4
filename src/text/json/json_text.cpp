// SPDX-License-Identifier: Apache-2.0
#include "text/json/json_text.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "text/json/json_escape.h"

namespace deepwell {
namespace {

/// Walks valid JSON.
class Walker {
 public:
  explicit Walker(std::string_view text) : text_(text) {}
  char peek() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  /// A string, number, word or bracket.
  std::string_view token() {
    const char first = peek();
    const std::size_t begin = at_;
    if (first == '"') {
      for (++at_; at(0) != '"'; ++at_) {
        if (text_[at_] == '\\') ++at_;
      }
      ++at_;
    } else if (is_punctuation(first)) {
      ++at_;
    } else {
      while (at_ < text_.size() && !is_punctuation(text_[at_]) && !is_blank(text_[at_])) ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }
  /// A whole value, brackets and all.
  std::string_view value() {
    peek();
    const std::size_t begin = at_;
    std::size_t depth = 0;
    do {
      const std::string_view one = token();
      DW_CHECK(!one.empty());
      if (one == "{" || one == "[") ++depth;
      if (one == "}" || one == "]") --depth;
    } while (depth > 0);
    return text_.substr(begin, at_ - begin);
  }

 private:
  static bool is_punctuation(char c) {
    return c == '{' || c == '}' || c == '[' || c == ']' || c == ',' || c == ':';
  }
  char at(std::size_t ahead) const {
    DW_CHECK(at_ + ahead < text_.size());
    return text_[at_ + ahead];
  }
  std::string_view text_;
  std::size_t at_ = 0;
};

bool is_integer(std::string_view number) { return number.find_first_of(".eE") == std::string_view::npos; }

/// The shortest digits that mean the same double, and where its point stands: 0.DIGITS * 10^point.
std::string shortest_digits(double value, int& point) {
  char buffer[40];
  const auto [end, error] =
      std::to_chars(buffer, buffer + sizeof buffer, std::abs(value), std::chars_format::scientific);
  DW_CHECK(error == std::errc());
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  const std::size_t e = text.find('e');
  std::string digits;
  for (const char c : text.substr(0, e)) {
    if (c != '.') digits += c;
  }
  point = std::stoi(std::string(text.substr(e + 1))) + 1;
  return digits;
}

std::string number_rewritten(std::string_view number, NumberStyle style) {
  const bool integer = is_integer(number);
  // -0 is an integer to Python and none to Rust.
  if (integer && (style == NumberStyle::kPython || number != "-0")) {
    if (number == "-0") return "0";
    const std::string_view digits = number.substr(number.front() == '-' ? 1 : 0);
    const std::string_view most = number.front() == '-' ? "9223372036854775808" : "18446744073709551615";
    const bool fits = digits.size() < most.size() || (digits.size() == most.size() && digits <= most);
    if (fits || style == NumberStyle::kPython) return std::string(number);
  }
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error == std::errc::result_out_of_range || end != number.data() + number.size())
    return std::string(number);
  const std::string sign = std::signbit(value) ? "-" : "";
  if (value == 0) return sign + "0.0";
  int point = 0;
  const std::string digits = shortest_digits(value, point);
  const int count = static_cast<int>(digits.size());
  if (point > 0 && point <= 16) {
    if (count <= point)
      return sign + digits + std::string(static_cast<std::size_t>(point - count), '0') + ".0";
    return sign + digits.substr(0, static_cast<std::size_t>(point)) + '.' +
           digits.substr(static_cast<std::size_t>(point));
  }
  const int smallest = style == NumberStyle::kPython ? -3 : -4;
  if (point <= 0 && point >= smallest)
    return sign + "0." + std::string(static_cast<std::size_t>(-point), '0') + digits;
  std::string out = sign + digits.substr(0, 1);
  if (count > 1) out += '.' + digits.substr(1);
  const int exponent = point - 1;
  out += 'e';
  if (exponent < 0) out += '-';
  if (exponent >= 0) out += '+';
  const std::string size = std::to_string(std::abs(exponent));
  if (style == NumberStyle::kPython && size.size() < 2) out += '0';
  return out + size;
}

}  // namespace

bool is_json(std::string_view text) { return nlohmann::json::accept(text); }

std::vector<std::pair<std::string, std::string_view>> json_members(std::string_view object) {
  std::vector<std::pair<std::string, std::string_view>> members;
  Walker walker(object);
  if (walker.peek() != '{') return members;
  walker.token();
  while (walker.peek() == '"') {
    std::string key = json_string(walker.token());
    walker.token();  // :
    members.emplace_back(std::move(key), walker.value());
    if (walker.token() != ",") break;
  }
  return members;
}

std::string_view json_member(std::string_view object, std::string_view key) {
  std::string_view found;
  for (const auto& [name, value] : json_members(object)) {
    if (name == key) found = value;
  }
  return found;
}

std::string json_string(std::string_view value) {
  const auto parsed = nlohmann::json::parse(value, nullptr, false);
  return parsed.is_string() ? parsed.get<std::string>() : std::string();
}

std::string json_rewritten(std::string_view value, NumberStyle style) {
  std::string out;
  Walker walker(value);
  while (walker.peek() != '\0') {
    const std::string_view one = walker.token();
    if (one == ",") {
      out += ", ";
    } else if (one == ":") {
      out += ": ";
    } else if (is_json_string(one)) {
      out += '"' + json_escaped(json_string(one)) + '"';
    } else if (one.front() == '-' || (one.front() >= '0' && one.front() <= '9')) {
      out += number_rewritten(one, style);
    } else {
      out += one;
    }
  }
  return out;
}

}  // namespace deepwell
