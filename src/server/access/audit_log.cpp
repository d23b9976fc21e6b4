// SPDX-License-Identifier: Apache-2.0
#include "server/access/audit_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace deepwell {
namespace {

constexpr std::chrono::milliseconds kPause{500};  // before a full disk is tried again

int open_for_append(const std::string& path) {
  return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

/// Whether the last line lacks its end: a disk was full, or the machine stopped.
bool ends_torn(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  char last = '\n';
  const off_t size = ::lseek(file, 0, SEEK_END);
  const bool read = size > 0 && ::pread(file, &last, 1, size - 1) == 1;
  ::close(file);
  return read && last != '\n';
}

}  // namespace

Result<std::unique_ptr<AuditLog>> AuditLog::open(std::string path, Report report, std::size_t bytes_max) {
  const int file = open_for_append(path);
  if (file < 0)
    return Error{ErrorCode::kIo, fmt::format("cannot open the audit log {}: {}", path, std::strerror(errno))};
  return std::unique_ptr<AuditLog>(new AuditLog(std::move(path), std::move(report), bytes_max, file));
}

AuditLog::AuditLog(std::string path, Report report, std::size_t bytes_max, int file)
    : path_(std::move(path)),
      report_(std::move(report)),
      bytes_max_(bytes_max),
      file_(file),
      torn_(ends_torn(path_)) {
  thread_ = std::thread([this] { work(); });
}

AuditLog::~AuditLog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
  if (file_ >= 0) ::close(file_);
}

void AuditLog::write(std::string line) {
  line += '\n';
  {
    const std::lock_guard lock(mutex_);
    if (bytes_ + line.size() > bytes_max_) {
      ++lost_;
      return;
    }
    bytes_ += line.size();
    lines_.push_back(std::move(line));
  }
  changed_.notify_all();
}

void AuditLog::reopen() {
  {
    const std::lock_guard lock(mutex_);
    reopen_ = true;
  }
  changed_.notify_all();
}

std::uint64_t AuditLog::lost() const {
  const std::lock_guard lock(mutex_);
  return lost_;
}

std::size_t AuditLog::waiting() const {
  const std::lock_guard lock(mutex_);
  return lines_.size();
}

void AuditLog::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stop_ || reopen_ || !lines_.empty(); });
    const bool again = std::exchange(reopen_, false);
    const std::string* const line = lines_.empty() ? nullptr : &lines_.front();  // a deque's front stays put
    lock.unlock();
    if (again || file_ < 0) {
      if (file_ >= 0) ::close(file_);
      file_ = open_for_append(path_);
      error_ = errno;
      torn_ = ends_torn(path_);
    }
    const bool written = file_ >= 0 && (line == nullptr || append(*line));
    try {
      tell(written);
    } catch (const std::bad_alloc&) {  // the metrics tell it, too
    }
    lock.lock();
    if (written && line != nullptr) {
      bytes_ -= lines_.front().size();
      lines_.pop_front();
    } else if (!written) {
      if (stop_) {
        lost_ += lines_.size();
        return;
      }
      changed_.wait_for(lock, kPause, [this] { return stop_ || reopen_; });
    }
    if (stop_ && lines_.empty()) return;
  }
}

// The line goes out whole or is written again whole; what a full disk cut off stays as a line of its own.
bool AuditLog::append(const std::string& line) {
  if (torn_ && !put("\n")) return false;
  return put(line);
}

bool AuditLog::put(std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(file_, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) {
      error_ = size < 0 ? errno : ENOSPC;
      return false;
    }
    torn_ = true;
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  torn_ = false;
  return true;
}

void AuditLog::tell(bool works) {
  if (works == std::exchange(works_, works) || !report_) return;
  report_(works ? fmt::format("the audit log {} is written again; {} lines were lost", path_, lost())
                : fmt::format("the audit log {} cannot be written: {}; its lines wait in memory, up to {} MB",
                              path_, std::strerror(error_), bytes_max_ >> 20));
}

}  // namespace deepwell
