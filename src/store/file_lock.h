// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>

#include "base/result.h"

namespace deepwell {

/// An exclusive flock on a file, as Hugging Face's tools take it; gone with the object or the process.
class FileLock {
 public:
  /// Waits as long as another process holds it; `waiting` is called a few times a second then; false gives up
  /// (kCancelled). Errors: kIo.
  static Result<FileLock> take(const std::filesystem::path& path, const std::function<bool()>& waiting);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace deepwell
