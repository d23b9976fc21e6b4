// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"

namespace deepwell {

/// A regular file mapped read-only. The bytes stay where they are when the object moves.
/// A file that another program shortens while it is mapped ends this process with SIGBUS: replace model
/// files by renaming a new one over them, never in place.
class MappedFile {
 public:
  /// Errors: kNotFound, kInvalid (a directory, a device, a pipe), kIo (no permission, no address space).
  static Result<MappedFile> open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  /// The whole pages inside `part` may leave this process's memory; reading them again is allowed, and slow.
  void release(std::span<const std::byte> part) const;

 private:
  MappedFile(const std::byte* data, std::size_t size) : data_(data), size_(size) {}
  const std::byte* data_ = nullptr;  // nullptr for an empty file
  std::size_t size_ = 0;
};

}  // namespace deepwell
