// SPDX-License-Identifier: Apache-2.0
// Goal: every line is on the disk once and whole, whatever the disk does, and writing never waits for it.
// Method: a limit on file sizes as the full disk, and a file moved away under the log.
#include "server/access/audit_log.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "support/eventually.h"

namespace deepwell {
namespace {
using testing_support::eventually;

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

class AuditLogTest : public testing::Test {
 protected:
  void SetUp() override { std::remove(path_.c_str()); }
  void TearDown() override { std::remove(path_.c_str()); }
  Result<std::unique_ptr<AuditLog>> open(std::size_t bytes_max = 1U << 20) {
    return AuditLog::open(
        path_,
        [this](const std::string& line) {
          const std::lock_guard lock(mutex_);
          told_ += line + "\n";
        },
        bytes_max);
  }
  std::string told() {
    const std::lock_guard lock(mutex_);
    return told_;
  }
  const std::string path_ = testing::TempDir() + "deepwell_audit_" + std::to_string(::getpid());
  std::mutex mutex_;
  std::string told_;
};

TEST_F(AuditLogTest, AppendsWhatManyThreadsSay) {
  std::ofstream(path_) << "from before\n";
  {
    auto log = open();
    ASSERT_TRUE(log.ok());
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&log, i] {
        for (int j = 0; j < 250; ++j) (*log)->write("line " + std::to_string(i * 250 + j));
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  const auto lines = lines_of(path_);
  EXPECT_EQ(lines.size(), 1001U);
  EXPECT_EQ(lines.front(), "from before");
  EXPECT_EQ(told(), "");
}

TEST_F(AuditLogTest, GoesOnInANewFileAfterARotation) {
  auto log = open();
  ASSERT_TRUE(log.ok());
  (*log)->write("old");
  ASSERT_TRUE(eventually([&] { return (*log)->waiting() == 0; }));
  const std::string moved = path_ + ".1";
  ASSERT_EQ(std::rename(path_.c_str(), moved.c_str()), 0);
  (*log)->reopen();
  (*log)->write("new");
  log->reset();
  EXPECT_EQ(lines_of(moved), std::vector<std::string>{"old"});
  EXPECT_EQ(lines_of(path_), std::vector<std::string>{"new"});
  std::remove(moved.c_str());
}

TEST_F(AuditLogTest, AFullDiskIsToldOnceAndCaughtUpWith) {
  auto log = open(/*bytes_max=*/2000);
  ASSERT_TRUE(log.ok());
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit full{50, before.rlim_max};  // in the middle of the second line
  setrlimit(RLIMIT_FSIZE, &full);
  const std::string text(38, 'x');
  for (int i = 10; i < 90; ++i) (*log)->write(std::to_string(i) + text);  // nobody waits: the disk stays full
  EXPECT_TRUE(eventually([&] { return told().find("cannot be written") != std::string::npos; }));
  const auto lost = (*log)->lost();
  EXPECT_GE(lost, 80U - 2000 / 41 - 2) << "what memory may not hold is counted";
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_TRUE(eventually([&] { return (*log)->waiting() == 0; }));
  (*log)->write("after");
  log->reset();
  std::vector<std::string> whole;
  std::size_t torn = 0;
  for (const std::string& line : lines_of(path_)) {
    if (line == "after" || line.size() == 40)
      whole.push_back(line);
    else
      ++torn;
  }
  EXPECT_EQ(whole.size(), 80 - lost + 1);
  EXPECT_LE(torn, 1U) << "what the disk cut off is a line of its own";
  EXPECT_EQ(whole.back(), "after");
  const std::string said = told();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 2) << said;
  EXPECT_NE(said.find("is written again"), std::string::npos);
}

TEST_F(AuditLogTest, AfterALineThatWasCutOffTheNextBeginsAnew) {
  std::ofstream(path_) << "whole\n{\"half\":";  // a full disk, then a kill
  auto log = open();
  ASSERT_TRUE(log.ok());
  (*log)->write("next");
  log->reset();
  EXPECT_EQ(lines_of(path_), (std::vector<std::string>{"whole", "{\"half\":", "next"}));
}

TEST_F(AuditLogTest, AFolderThatIsNotThereIsAnError) {
  const auto log = AuditLog::open("/nonexistent/audit.log", nullptr);
  ASSERT_FALSE(log.ok());
  EXPECT_NE(log.error().message.find("/nonexistent/audit.log"), std::string::npos);
}

}  // namespace
}  // namespace deepwell
