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
  /// One key a line; empty lines and lines starting with '#' are skipped. Errors: kIo, kInvalid (no key).
  static Result<ApiKeys> load(const std::string& path);
  void add(std::string_view key);
  bool empty() const { return digests_.empty(); }
  bool allows(std::string_view key) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  static Digest digest_of(std::string_view key);
  std::vector<Digest> digests_;
};

}  // namespace deepwell
