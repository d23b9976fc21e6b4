// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "base/result.h"

namespace deepwell {

/// A file being written, whose failures say that the disk is full when it is.
class OutputFile {
 public:
  /// Opens for writing after what is there. Errors: kInvalid.
  static Result<OutputFile> open(const std::filesystem::path& path);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&& other) noexcept;
  ~OutputFile();

  std::int64_t size() const { return size_; }
  Status append(std::span<const std::byte> bytes);
  Status clear();
  /// All bytes go to `each` in order. False stops (kCancelled).
  Status read(const std::function<bool(std::span<const std::byte>)>& each) const;
  /// Makes it safe against a power cut, closes it and gives it its final name.
  Status finish(const std::filesystem::path& name);

 private:
  OutputFile(int fd, std::int64_t size, std::filesystem::path path)
      : fd_(fd), size_(size), path_(std::move(path)) {}
  Error failure(const char* what, int code) const;
  int fd_;
  std::int64_t size_;
  std::filesystem::path path_;
};

/// Errors: kInvalid with both numbers when `needed` bytes do not fit. `free_bytes` as in PullOptions.
Status check_disk_space(const std::filesystem::path& folder, std::int64_t needed,
                        const std::function<std::int64_t(const std::string&)>& free_bytes);

}  // namespace deepwell
