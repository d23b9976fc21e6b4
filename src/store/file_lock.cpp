// SPDX-License-Identifier: Apache-2.0
#include "store/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "base/human.h"

namespace deepwell {

Result<FileLock> FileLock::take(const std::filesystem::path& path, const std::function<bool()>& waiting) {
  FileLock lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  int failed = lock.fd_ < 0 ? errno : 0;
  while (failed == 0 && ::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) failed = errno;
    if (failed == 0 && !waiting()) return Error{ErrorCode::kCancelled, "stopped"};
    if (failed == 0) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  if (failed != 0)
    return Error{ErrorCode::kIo,
                 fmt::format("{}: cannot lock it: {}; set HF_HUB_CACHE to a folder you may write to",
                             printable(path.string()), std::strerror(failed))};
  return lock;
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace deepwell
