// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace deepwell {

enum class Role { kUser, kAdmin };  ///< kAdmin: also /metrics and /admin

/// What a key may use; 0: no limit.
struct KeyLimits {
  std::int64_t requests_per_minute = 0, tokens_per_minute = 0, parallel = 0;
  bool operator==(const KeyLimits&) const = default;
};

struct ApiKey {
  std::array<unsigned char, 32> digest{};  ///< SHA-256 of the key
  std::string name;                        ///< "": it has none
  Role role = Role::kUser;
  KeyLimits limits;

  /// Whose it is, which does not tell the key: stays the same while the key does.
  std::string id() const;
  /// Its line in a file of keys.
  std::string line() const;
};

/// The keys that open a server. Kept as SHA-256, compared in constant time.
///
/// A file of keys has one a line: "sha256:" and 64 hexadecimal digits, or the key as it is; then, each where
/// wanted: name=ann role=admin requests-per-minute=60 tokens-per-minute=100000 parallel-requests=4. Empty
/// lines and lines starting with '#' are skipped.
class ApiKeys {
 public:
  /// Errors: kInvalid with `path` and the line's number: a key or a name twice, an unknown or a wrong
  /// setting.
  static Result<ApiKeys> parse(std::string_view text, const std::string& path);
  /// The same of a file, which holds at least one key. Errors also: kIo.
  static Result<ApiKeys> load(const std::string& path);
  /// What one line says; an ApiKey without a name where it is empty or a comment has no meaning, so ask
  /// is_key_line() first. Errors: kInvalid, without the place.
  static Result<ApiKey> parse_line(std::string_view line);
  static bool is_key_line(std::string_view line);

  void add(std::string_view key, std::string name = {}, Role role = Role::kUser, KeyLimits limits = {});
  bool empty() const { return keys_.empty(); }
  const std::vector<ApiKey>& all() const { return keys_; }
  /// Whose this is; nullptr: nobody's.
  const ApiKey* find(std::string_view key) const;

 private:
  std::vector<ApiKey> keys_;
};

std::array<unsigned char, 32> digest_of_key(std::string_view key);
/// Whether it may be a key's name: 1 to 64 letters, digits and ._@- that a log can hold.
bool is_key_name(std::string_view name);
const char* role_name(Role role);

}  // namespace deepwell
