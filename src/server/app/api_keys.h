// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace deepwell {

/// The keys that open a server. Kept as SHA-256, compared in constant time.
class ApiKeys {
 public:
  /// One key a line, as it is or as "sha256:" and the 64 hexadecimal digits of its SHA-256; empty lines and
  /// lines starting with '#' are skipped. Errors: kIo, kInvalid (no key, or a digest that is none: with the
  /// line's number).
  static Result<ApiKeys> load(const std::string& path);
  void add(std::string_view key);
  /// The same from its SHA-256 in hexadecimal; false when it is not that.
  bool add_hashed(std::string_view digits);
  bool empty() const { return digests_.empty(); }
  bool allows(std::string_view key) const;
  /// A name for whoever has the key, which does not tell it.
  static std::string user_of(std::string_view key);

 private:
  using Digest = std::array<unsigned char, 32>;
  static Digest digest_of(std::string_view key);
  std::vector<Digest> digests_;
};

}  // namespace deepwell
