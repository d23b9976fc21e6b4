// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace deepwell {

/// A file that appears under its name only when it is whole: written beside it, and removed unless committed.
class NewFile {
 public:
  /// `bytes`: how large it will be; kIo at once when the disk has less room than that. `mode`: who may read
  /// it, whatever the umask; -1: as the umask has it.
  static Result<NewFile> create(const std::string& path, std::int64_t bytes, int mode = -1);
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();

  Status append(std::span<const std::byte> bytes);
  /// Makes it safe against a power cut and gives it its name, in place of a file that had it.
  Status commit();

 private:
  NewFile(int fd, std::string path, std::string temporary)
      : fd_(fd), path_(std::move(path)), temporary_(std::move(temporary)) {}
  int fd_;
  std::string path_, temporary_;
};

}  // namespace deepwell
