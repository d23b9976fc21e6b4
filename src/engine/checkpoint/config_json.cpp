// SPDX-License-Identifier: Apache-2.0
#include "engine/checkpoint/config_json.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/human.h"
#include "base/mapped_file.h"

namespace deepwell {

const nlohmann::json& ConfigJson::member(const char* name) const {
  static const nlohmann::json kNone;
  const auto found = object_.is_object() ? object_.find(name) : object_.end();
  return object_.is_object() && found != object_.end() ? *found : kNone;
}

std::optional<std::int64_t> ConfigJson::integer(const char* name) const {
  const nlohmann::json& value = member(name);
  if (!value.is_number_integer()) return std::nullopt;
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX) return std::nullopt;
  return value.get<std::int64_t>();
}

std::optional<double> ConfigJson::number(const char* name) const {
  const nlohmann::json& value = member(name);
  return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
}

std::optional<bool> ConfigJson::flag(const char* name) const {
  const nlohmann::json& value = member(name);
  return value.is_boolean() ? std::optional(value.get<bool>()) : std::nullopt;
}

std::optional<std::string> ConfigJson::text(const char* name) const {
  const nlohmann::json& value = member(name);
  return value.is_string() ? std::optional(value.get<std::string>()) : std::nullopt;
}

ConfigJson ConfigJson::child(const char* name) const {
  const nlohmann::json& value = member(name);
  return {path_, value.is_object() ? value : nlohmann::json::object()};
}

Result<std::int64_t> ConfigJson::integer(const char* name, std::int64_t lowest, std::int64_t highest) const {
  const auto value = integer(name);
  if (!value)
    return Error{
        ErrorCode::kCorrupt,
        fmt::format("{}: '{}' is missing or no whole number; fetch the file again", printable(path_), name)};
  if (*value < lowest || *value > highest)
    return Error{ErrorCode::kCorrupt, fmt::format("{}: '{}' is {}, not in {}..{}; fetch the file again",
                                                  printable(path_), name, *value, lowest, highest)};
  return *value;
}

Result<std::string> read_small_file(const std::string& path, std::int64_t bytes_max) {
  DW_TRY(const MappedFile file, MappedFile::open(path));
  if (static_cast<std::int64_t>(file.bytes().size()) > bytes_max)
    return Error{
        ErrorCode::kCorrupt,
        fmt::format("{}: is {} (at most {} make sense); fetch it again", printable(path),
                    human_bytes(static_cast<std::int64_t>(file.bytes().size())), human_bytes(bytes_max))};
  return std::string(as_text(file.bytes()));
}

Result<ConfigJson> read_config_json(const std::string& path) {
  DW_TRY(const std::string text, read_small_file(path, 64'000'000));
  nlohmann::json object = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object())
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: holds no JSON object; fetch it again", printable(path))};
  return ConfigJson(path, std::move(object));
}

}  // namespace deepwell
