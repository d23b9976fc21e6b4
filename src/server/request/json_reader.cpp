// SPDX-License-Identifier: Apache-2.0
#include "server/request/json_reader.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace deepwell {
namespace {
using json = Json;
constexpr int kDepthMax = 64;
constexpr std::size_t kValuesMax = 4'000'000;
constexpr std::size_t kComparisonsMax = 200'000'000;  // each key is compared with those before it

std::string_view kind_of(const json& value) {
  switch (value.type()) {
    case json::value_t::object:
      return "an object";
    case json::value_t::array:
      return "a list";
    case json::value_t::string:
      return "a string";
    case json::value_t::boolean:
      return "a boolean";
    case json::value_t::null:
      return "null";
    default:
      return value.is_number_float() ? "a number" : "an integer";
  }
}

/// Depth, number of values and of keys, seen without building anything.
std::optional<std::string> too_much(std::string_view text) {
  int depth = 0;
  std::size_t values = 0, comparisons = 0;
  std::array<std::size_t, kDepthMax + 2> members{};  // so far, of what is open at each depth
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '[' || c == '{') {
      if (++depth > kDepthMax) return fmt::format("the body nests deeper than {} levels", kDepthMax);
      members[static_cast<std::size_t>(depth)] = 0;
    }
    if ((c == ']' || c == '}') && depth > 0) --depth;
    if (c == ':') comparisons += members[static_cast<std::size_t>(depth)]++;
    if (comparisons > kComparisonsMax) return "an object of the body has too many keys";
    if (c == ',' && ++values > kValuesMax) return fmt::format("the body has more than {} values", kValuesMax);
  }
  return std::nullopt;
}
}  // namespace

ApiResult<json> parse_body(std::string_view text) {
  if (text.empty()) return invalid_field("", "the body is empty; send a JSON object");
  if (auto problem = too_much(text)) return invalid_field("", *problem);
  try {
    json value = json::parse(text);
    if (!value.is_object()) {
      return invalid_field("", fmt::format("the body must be a JSON object, not {}", kind_of(value)));
    }
    return value;
  } catch (const json::parse_error& problem) {
    return invalid_field("", fmt::format("the body is not valid JSON near byte {}", problem.byte));
  } catch (const json::exception&) {
    return invalid_field("", "the body holds a number that is out of range");
  }
}

JsonReader::JsonReader(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

const json* JsonReader::any(const char* name) {
  seen_.insert(name);
  if (error_) return nullptr;
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::string> JsonReader::text(const char* name) {
  const json* value = any(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    fail(name, fmt::format("'{}{}' must be a string, not {}", where_, name, kind_of(*value)));
    return std::nullopt;
  }
  return value->get<std::string>();
}

std::optional<bool> JsonReader::flag(const char* name) {
  const json* value = any(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) {
    fail(name, fmt::format("'{}{}' must be true or false, not {}", where_, name, kind_of(*value)));
    return std::nullopt;
  }
  return value->get<bool>();
}

std::optional<std::int64_t> JsonReader::integer(const char* name, std::int64_t min, std::int64_t max) {
  const json* value = any(name);
  if (value == nullptr) return std::nullopt;
  const bool whole_float = value->is_number_float() &&
                           std::nearbyint(value->get<double>()) == value->get<double>() &&
                           std::fabs(value->get<double>()) < 9e15;
  if (!value->is_number_integer() && !whole_float) {
    fail(name, fmt::format("'{}{}' must be an integer, not {}", where_, name, kind_of(*value)));
    return std::nullopt;
  }
  const bool too_big =
      value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
  const std::int64_t number = whole_float ? static_cast<std::int64_t>(value->get<double>())
                              : too_big   ? 0
                                          : value->get<std::int64_t>();
  if (too_big || number < min || number > max) {
    fail(name, fmt::format("'{}{}' must lie between {} and {}", where_, name, min, max));
    return std::nullopt;
  }
  return number;
}

std::optional<double> JsonReader::number(const char* name, double min, double max, bool open_min) {
  const json* value = any(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) {
    fail(name, fmt::format("'{}{}' must be a number, not {}", where_, name, kind_of(*value)));
    return std::nullopt;
  }
  const auto number = value->get<double>();
  if (!(number >= min && number <= max) || (open_min && number == min)) {
    fail(name, fmt::format("'{}{}' must be {} {} and at most {}", where_, name,
                           open_min ? "above" : "at least", min, max));
    return std::nullopt;
  }
  return number;
}

const json* JsonReader::object(const char* name) {
  const json* value = any(name);
  if (value != nullptr && !value->is_object()) {
    fail(name, fmt::format("'{}{}' must be an object, not {}", where_, name, kind_of(*value)));
    return nullptr;
  }
  return value;
}

const json* JsonReader::array(const char* name) {
  const json* value = any(name);
  if (value != nullptr && !value->is_array()) {
    fail(name, fmt::format("'{}{}' must be a list, not {}", where_, name, kind_of(*value)));
    return nullptr;
  }
  return value;
}

void JsonReader::unsupported(const char* name, std::string_view reason) {
  const json* value = any(name);
  if (value == nullptr || (value->is_array() && value->empty()) || *value == false) return;
  ApiError error =
      invalid_field(where_ + name, fmt::format("'{}{}' is not supported: {}", where_, name, reason));
  error.code = "unsupported_parameter";
  fail(std::move(error));
}

void JsonReader::fail(const std::string& name, const std::string& message) {
  fail(invalid_field(where_ + name, message));
}

void JsonReader::fail(ApiError error) {
  if (!error_) error_ = std::move(error);
}

void JsonReader::finish() {
  if (error_) return;
  for (const auto& [name, value] : object_.items()) {
    if (seen_.contains(name) || value.is_null()) continue;
    ApiError error = invalid_field(
        where_ + name.substr(0, 100),
        fmt::format("'{}{}' is not a field this server knows; remove it", where_, name.substr(0, 100)));
    error.code = "unknown_parameter";
    fail(std::move(error));
    return;
  }
}

}  // namespace deepwell
