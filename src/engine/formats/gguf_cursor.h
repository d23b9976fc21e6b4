// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/human.h"
#include "base/result.h"

namespace deepwell {

/// A ByteReader over a GGUF header whose failures are whole sentences: path, what, where, what to do.
class GgufCursor {
 public:
  static constexpr std::string_view kFetchAgain = "the file is damaged; fetch it again";

  GgufCursor(std::span<const std::byte> file, const std::string& path)
      : reader_(file), path_(path), size_(file.size()) {}

  std::size_t offset() const { return reader_.offset(); }
  std::size_t remaining() const { return reader_.remaining(); }
  std::size_t file_bytes() const { return size_; }

  template <class T>
  Result<T> read(std::string_view what) {
    const auto value = reader_.read<T>();
    if (!value) return truncated(what, sizeof(T));
    return *value;
  }

  Result<std::span<const std::byte>> read_bytes(std::size_t count, std::string_view what) {
    const auto bytes = reader_.read_bytes(count);
    if (!bytes) return truncated(what, count);
    return *bytes;
  }

  /// A length and that many bytes. `bytes_max` is the most that `what` may have.
  Result<std::string_view> read_text(std::string_view what, std::uint64_t bytes_max) {
    const std::size_t start = offset();
    DW_TRY(const auto length, read<std::uint64_t>(what));
    if (length > bytes_max)
      return corrupt(fmt::format("{} at byte {} says it is {} bytes long (at most {} are possible)", what,
                                 start, length, bytes_max));
    DW_TRY(const auto bytes, read_bytes(static_cast<std::size_t>(length), what));
    return as_text(bytes);
  }

  Error error(ErrorCode code, std::string_view what, std::string_view advice) const {
    return {code, fmt::format("{}: {}: {}", printable(path_), what, advice)};
  }
  Error corrupt(std::string_view what) const { return error(ErrorCode::kCorrupt, what, kFetchAgain); }

 private:
  Error truncated(std::string_view what, std::size_t count) const {
    return error(ErrorCode::kCorrupt,
                 fmt::format("the file ends at byte {}, within {} ({} bytes at byte {})", size_, what, count,
                             offset()),
                 "the download is incomplete or the file damaged; fetch it again");
  }

  ByteReader reader_;
  const std::string& path_;
  std::size_t size_;
};

}  // namespace deepwell
