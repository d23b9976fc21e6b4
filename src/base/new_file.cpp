// SPDX-License-Identifier: Apache-2.0
#include "base/new_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/human.h"

namespace deepwell {
namespace {

Error failure(const std::string& path, const char* what, int code) {
  if (code == ENOSPC || code == EDQUOT || code == EFBIG)
    return {ErrorCode::kIo, fmt::format("{}: the disk is full ({}); make room, or write to another disk",
                                        printable(path), std::strerror(code))};
  return {ErrorCode::kIo, fmt::format("{}: cannot {} it: {}", printable(path), what, std::strerror(code))};
}

}  // namespace

Result<NewFile> NewFile::create(const std::string& path, std::int64_t bytes, int mode) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  struct statvfs disk {};
  if (::statvfs(folder.empty() ? "." : folder.c_str(), &disk) == 0) {
    const auto free = static_cast<std::int64_t>(disk.f_bavail) * static_cast<std::int64_t>(disk.f_frsize);
    if (bytes > free)
      return Error{
          ErrorCode::kIo,
          fmt::format("{}: {} are needed, but the disk has {} free; make room, or write to another disk",
                      printable(path), human_bytes(bytes), human_bytes(free))};
  }
  std::string temporary = fmt::format("{}.{}.partial", path, ::getpid());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode < 0 ? 0644 : 0600);
  if (fd < 0) return failure(path, "write", errno);
  NewFile file(fd, path, std::move(temporary));
  if (mode >= 0 && ::fchmod(fd, static_cast<mode_t>(mode)) != 0) return failure(path, "write", errno);
  return file;
}

NewFile::NewFile(NewFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, "")) {}

NewFile::~NewFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status NewFile::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return failure(path_, "write", written == 0 ? ENOSPC : errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return Done{};
}

Status NewFile::commit() {
  // Without fsync a crash could leave the name on an empty file.
  if (::fsync(fd_) != 0) return failure(path_, "write", errno);
  if (::close(std::exchange(fd_, -1)) != 0) return failure(path_, "write", errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failure(path_, "rename", errno);
  temporary_.clear();
  return Done{};
}

}  // namespace deepwell
