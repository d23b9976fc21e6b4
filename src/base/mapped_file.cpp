// SPDX-License-Identifier: Apache-2.0
#include "base/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/human.h"

namespace deepwell {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Error open_error(const std::string& path, int code) {
  const std::string shown = printable(path);
  if (code == ENOENT || code == ENOTDIR)
    return {ErrorCode::kNotFound, fmt::format("{}: no such file; check the path", shown)};
  if (code == EACCES || code == EPERM)
    return {ErrorCode::kIo, fmt::format("{}: no permission to read it; check its owner and mode", shown)};
  return {ErrorCode::kIo, fmt::format("{}: cannot open it: {}", shown, std::strerror(code))};
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  // A path with a NUL inside would silently open another file.
  if (path.empty() || path.find('\0') != std::string::npos)
    return Error{ErrorCode::kInvalid,
                 fmt::format("'{}': not a path; give the path of a file", printable(path))};
  // O_NONBLOCK: opening a pipe must not wait for a writer.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) return open_error(path, errno);
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) return open_error(path, errno);
  if (S_ISDIR(info.st_mode))
    return Error{ErrorCode::kInvalid,
                 fmt::format("{}: is a directory; give the path of a file in it", printable(path))};
  if (!S_ISREG(info.st_mode))
    return Error{ErrorCode::kInvalid, fmt::format("{}: is not a regular file (a device or a pipe); save it "
                                                  "to disk first",
                                                  printable(path))};
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size == 0) return MappedFile(nullptr, 0);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (data == MAP_FAILED)
    return Error{ErrorCode::kIo, fmt::format("{}: cannot map {} into memory: {}", printable(path),
                                             human_bytes(info.st_size), std::strerror(errno))};
  return MappedFile(static_cast<const std::byte*>(data), size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  // const_cast: munmap and madvise take void*, and neither writes.
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(std::span<const std::byte> part) const {
  if (part.empty() || data_ == nullptr) return;
  DW_CHECK(part.data() >= data_ && part.data() + part.size() <= data_ + size_);
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(part.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(part.data() + part.size()) / page * page;
  if (begin < end)
    ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);  // NOLINT: an address
}

void will_need(std::span<const std::byte> mapped) {
  if (mapped.empty()) return;
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<std::uintptr_t>(mapped.data());
  const auto begin = first / page * page;
  // A hint: memory of another kind makes it fail, and nothing is lost.
  ::madvise(reinterpret_cast<void*>(begin), first + mapped.size() - begin, MADV_WILLNEED);  // NOLINT
}

}  // namespace deepwell
