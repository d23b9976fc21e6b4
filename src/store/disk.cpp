// SPDX-License-Identifier: Apache-2.0
#include "store/disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "base/human.h"

namespace deepwell {

constexpr std::int64_t kDiskReserve = 16 << 20;  // left free: a system with a full disk misbehaves

Result<OutputFile> OutputFile::open(const std::filesystem::path& path) {
  OutputFile file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644), 0, path);
  struct stat info {};
  if (file.fd_ < 0 || ::fstat(file.fd_, &info) != 0) return file.failure("open", errno);
  file.size_ = info.st_size;
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), size_(other.size_), path_(std::move(other.path_)) {}
OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  return *this;
}
OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
}

Error OutputFile::failure(const char* what, int code) const {
  const std::string path = printable(path_.string());
  if (code == ENOSPC || code == EDQUOT || code == EFBIG)
    return {ErrorCode::kInvalid,
            fmt::format("{}: the disk is full ({}); make room and run the same command again: it "
                        "goes on where it stopped; or set HF_HUB_CACHE to a larger disk",
                        path, std::strerror(code))};
  return {ErrorCode::kInvalid, fmt::format("{}: cannot {} it: {}", path, what, std::strerror(code))};
}

Status OutputFile::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), size_);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return failure("write to", written == 0 ? ENOSPC : errno);
    size_ += written;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return Done{};
}

Status OutputFile::clear() {
  if (::ftruncate(fd_, 0) != 0) return failure("shorten", errno);
  size_ = 0;
  return Done{};
}

Status OutputFile::read(const std::function<bool(std::span<const std::byte>)>& each) const {
  std::vector<std::byte> buffer(1 << 20);
  for (std::int64_t at = 0; at < size_;) {
    const ssize_t got = ::pread(fd_, buffer.data(), buffer.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return failure("read", got == 0 ? EIO : errno);
    if (!each(std::span(buffer).first(static_cast<std::size_t>(got))))
      return Error{ErrorCode::kCancelled, "stopped"};
    at += got;
  }
  return Done{};
}

Status OutputFile::finish(const std::filesystem::path& name) {
  // Without fsync a crash could leave the final name on an empty file.
  if (::fsync(fd_) != 0) return failure("write to", errno);
  if (::close(std::exchange(fd_, -1)) != 0) return failure("write to", errno);
  if (::rename(path_.c_str(), name.c_str()) != 0) return failure("rename", errno);
  return Done{};
}

Status check_disk_space(const std::filesystem::path& folder, std::int64_t needed,
                        const std::function<std::int64_t(const std::string&)>& free_bytes) {
  std::int64_t free = std::numeric_limits<std::int64_t>::max();
  struct statvfs info {};
  if (free_bytes)
    free = free_bytes(folder.string());
  else if (::statvfs(folder.c_str(), &info) == 0)
    free = static_cast<std::int64_t>(info.f_bavail) * static_cast<std::int64_t>(info.f_frsize);
  if (needed <= free - kDiskReserve) return Done{};
  return Error{
      ErrorCode::kInvalid,
      fmt::format(
          "{}: {} are needed but the disk has {} free; make room or set HF_HUB_CACHE to a larger disk",
          printable(folder.string()), human_bytes(needed), human_bytes(free))};
}

}  // namespace deepwell
