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

/// Tells the system that this part of a mapped file is read soon: it starts to read the pages, many at a
/// time, and does not wait. Of 2,400 rows anywhere in a file on disk it takes a fifth of the time that one
/// page fault after another takes, and what reading past the page cache takes (direct_reader.h), and what is
/// read often stays in memory.
void will_need(std::span<const std::byte> mapped);

}  // namespace deepwell
