// SPDX-License-Identifier: Apache-2.0
// Goal: a change of content, of place or of existence is told once; nothing else is.
#include "base/file_watch.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

namespace deepwell {
namespace {

bool told(FileWatch& watch) {
  std::this_thread::sleep_for(std::chrono::milliseconds(510));
  return watch.changed();
}

TEST(FileWatchTest, TellsEachChangeOnce) {
  const std::string path = testing::TempDir() + "deepwell_watched";
  std::ofstream(path) << "one";
  FileWatch watch({path, path + ".other"});
  EXPECT_FALSE(told(watch));
  std::ofstream(path) << "other";
  EXPECT_FALSE(watch.changed()) << "it looks twice a second at most";
  EXPECT_TRUE(told(watch));
  EXPECT_FALSE(told(watch));
  std::ofstream(path + ".new") << "other";
  const auto same_time = std::filesystem::last_write_time(path);
  std::filesystem::rename(path + ".new", path);
  std::filesystem::last_write_time(path, same_time);
  EXPECT_TRUE(told(watch)) << "another file under the same name";
  std::remove(path.c_str());
  EXPECT_TRUE(told(watch));
}

}  // namespace
}  // namespace deepwell
