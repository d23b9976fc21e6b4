// SPDX-License-Identifier: Apache-2.0
#include "base/file_watch.h"

#include <sys/stat.h>

#include <utility>

namespace deepwell {
namespace {
constexpr std::chrono::milliseconds kPause{500};
}  // namespace

FileWatch::FileWatch(std::vector<std::string> paths)
    : paths_(std::move(paths)), seen_(look()), looked_(Clock::now()) {}

std::vector<FileWatch::Mark> FileWatch::look() const {
  std::vector<Mark> marks;
  for (const std::string& path : paths_) {
    struct stat file {};
    Mark mark;
    if (::stat(path.c_str(), &file) == 0)
      mark = {file.st_mtim.tv_sec * 1'000'000'000 + file.st_mtim.tv_nsec, file.st_size, file.st_ino};
    marks.push_back(mark);
  }
  return marks;
}

bool FileWatch::changed(Clock::time_point now) {
  if (now - looked_ < kPause) return false;
  looked_ = now;
  std::vector<Mark> marks = look();
  return marks != std::exchange(seen_, marks);
}

}  // namespace deepwell
