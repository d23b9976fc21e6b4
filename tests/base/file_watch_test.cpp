// SPDX-License-Identifier: Apache-2.0
// Goal: a change of content, of place or of existence is told once; nothing else is.
#include "base/file_watch.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "support/temp_dir.h"

namespace deepwell {
namespace {

TEST(FileWatchTest, TellsEachChangeOnce) {
  const testing_support::TempDir folder;
  const std::string path = folder / "watched";
  std::ofstream(path) << "one";
  FileWatch watch({path, path + ".other"});
  auto now = FileWatch::Clock::now();
  const auto told = [&] { return watch.changed(now += std::chrono::milliseconds(501)); };
  EXPECT_FALSE(told());
  std::ofstream(path) << "other";
  EXPECT_FALSE(watch.changed(now)) << "it looks twice a second at most";
  EXPECT_TRUE(told());
  EXPECT_FALSE(told());
  std::ofstream(path + ".new") << "other";
  const auto same_time = std::filesystem::last_write_time(path);
  std::filesystem::rename(path + ".new", path);
  std::filesystem::last_write_time(path, same_time);
  EXPECT_TRUE(told()) << "another file under the same name";
  std::remove(path.c_str());
  EXPECT_TRUE(told());
}

}  // namespace
}  // namespace deepwell
