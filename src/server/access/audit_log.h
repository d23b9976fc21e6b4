// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/result.h"

namespace deepwell {

/// Lines appended to a file, by a thread of its own: a slow or full disk never holds anybody up. What cannot
/// be written waits (at most `bytes_max`) and goes out when the disk takes it again; the rest is lost,
/// counted and told. Thread-safe.
class AuditLog {
 public:
  using Report = std::function<void(const std::string& line)>;
  /// Errors: kIo, when the file cannot be opened. `report` gets one line when writing fails, and one when it
  /// works again.
  static Result<std::unique_ptr<AuditLog>> open(std::string path, Report report,
                                                std::size_t bytes_max = 64U << 20);
  /// Writes what waits, if the disk takes it now.
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  /// `line` has no line end.
  void write(std::string line);
  /// Goes on in a new file of the same name, after logrotate has moved the old one away.
  void reopen();
  std::uint64_t lost() const;
  std::size_t waiting() const;

 private:
  AuditLog(std::string path, Report report, std::size_t bytes_max, int file);
  void work();
  bool append(const std::string& line);
  bool put(std::string_view text);
  void tell(bool works);

  const std::string path_;
  const Report report_;
  const std::size_t bytes_max_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> lines_;
  std::size_t bytes_ = 0;
  std::uint64_t lost_ = 0;
  bool stop_ = false, reopen_ = false;

  // The thread's own.
  int file_;
  bool torn_ = false;  ///< the last line was written in part
  bool works_ = true;
  int error_ = 0;
  std::thread thread_;
};

}  // namespace deepwell
