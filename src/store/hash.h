// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace deepwell {

/// What a file's content must hash to: SHA-256 of the bytes (64 digits), or git's blob id, SHA-1 of
/// "blob SIZE\0" and the bytes (40 digits).
bool is_content_hash(std::string_view hex);

/// Computes the hash of the kind that `expected` is.
class ContentHasher {
 public:
  /// Requires is_content_hash(expected).
  ContentHasher(std::string_view expected, std::int64_t size);
  ~ContentHasher();
  ContentHasher(ContentHasher&&) noexcept;
  ContentHasher& operator=(ContentHasher&&) noexcept;

  void add(std::span<const std::byte> bytes);
  std::string finish();  ///< lower-case hex; may be called once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace deepwell
