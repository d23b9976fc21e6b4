// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace deepwell {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "file formats here are little-endian and read in place");

/// Reads little-endian values in order and never past the end: a read that does not fit gives nothing and
/// moves nothing. The bytes are borrowed.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::size_t offset() const { return offset_; }
  std::size_t remaining() const { return bytes_.size() - offset_; }

  template <class T>
  std::optional<T> read() {
    static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>,
                  "a bool may hold only 0 and 1: read a byte");
    if (remaining() < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return value;
  }

  std::optional<std::span<const std::byte>> read_bytes(std::size_t count) {
    if (count > remaining()) return std::nullopt;
    const auto result = bytes_.subspan(offset_, count);
    offset_ += count;
    return result;
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t offset_ = 0;
};

/// The same bytes as characters, and back.
inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::span<const std::byte> as_raw_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// True when every byte belongs to a well-formed UTF-8 character (no surrogates, no overlong forms).
bool is_utf8(std::string_view text);

}  // namespace deepwell
