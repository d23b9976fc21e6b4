// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace deepwell {

/// A JSON object of a checkpoint's directory (config.json and its like), read without surprises: a value of
/// another kind than asked for is as good as absent.
class ConfigJson {
 public:
  ConfigJson() = default;
  ConfigJson(std::string path, nlohmann::json object) : path_(std::move(path)), object_(std::move(object)) {}

  const std::string& path() const { return path_; }
  const nlohmann::json& object() const { return object_; }
  bool has(const char* name) const { return !member(name).is_null(); }
  std::optional<std::int64_t> integer(const char* name) const;
  std::optional<double> number(const char* name) const;
  std::optional<bool> flag(const char* name) const;
  std::optional<std::string> text(const char* name) const;
  ConfigJson child(const char* name) const;  ///< an empty object where there is none
  /// A required whole number in lowest..highest.
  Result<std::int64_t> integer(const char* name, std::int64_t lowest, std::int64_t highest) const;

 private:
  const nlohmann::json& member(const char* name) const;
  std::string path_;
  nlohmann::json object_ = nlohmann::json::object();
};

/// Reads a file of at most 64 MB that holds one JSON object. kNotFound where there is none.
Result<ConfigJson> read_config_json(const std::string& path);
/// All of a small file. kNotFound where there is none, kCorrupt above `bytes_max`.
Result<std::string> read_small_file(const std::string& path, std::int64_t bytes_max);

}  // namespace deepwell
