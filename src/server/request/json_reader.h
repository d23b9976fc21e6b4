// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/request/api_error.h"

namespace deepwell {

/// What clients send: keys keep their order, which shows in prompts and in answers forced into a schema.
using Json = nlohmann::ordered_json;

/// Parses a request's body. Refuses what could hurt: deeper than 64, more than 4 million values, objects of
/// so many keys that looking for twins takes long, bad UTF-8.
ApiResult<Json> parse_body(std::string_view text);

/// Reads one JSON object's fields by name and type. The first thing wrong is kept in error(); reads after
/// it give nothing. null counts as absent. What nobody asked for is refused by finish().
class JsonReader {
 public:
  /// `where`: "" for the whole body, else "messages[0]."
  JsonReader(const Json& object, std::string where);

  std::optional<std::string> text(const char* name);
  std::optional<bool> flag(const char* name);
  std::optional<std::int64_t> integer(const char* name, std::int64_t min, std::int64_t max);
  /// `open_min`: the minimum itself is refused.
  std::optional<double> number(const char* name, double min, double max, bool open_min = false);
  /// The field whatever it is; nullptr when absent.
  const Json* any(const char* name);
  const Json* object(const char* name);
  const Json* array(const char* name);

  /// Accepted: it asks for nothing that this server could leave undone.
  void harmless(const char* name) { seen_.insert(name); }
  /// Present and not null (or an empty list, or false): refused, with the reason.
  void unsupported(const char* name, std::string_view reason);
  void fail(const std::string& name, const std::string& message);
  void fail(ApiError error);

  /// Refuses fields that were never asked for.
  void finish();
  bool ok() const { return !error_.has_value(); }
  const ApiError& error() const { return *error_; }
  const std::string& where() const { return where_; }

 private:
  const Json& object_;
  std::string where_;
  std::set<std::string, std::less<>> seen_;
  std::optional<ApiError> error_;
};

}  // namespace deepwell
