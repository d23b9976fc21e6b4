// SPDX-License-Identifier: Apache-2.0
// Goal: on a terminal lines are edited as people expect, Chinese too; Ctrl-C stops answers, Ctrl-D leaves.
// Method: a child with a terminal of its own (forkpty) and a fake backend, typed at key by key.
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "cli/repl/fake_backend.h"
#include "support/eventually.h"

namespace deepwell {
namespace {

class TerminalTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/deepwell-pty-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    folder_ = pattern;
    start();
  }
  void TearDown() override {
    if (child_ > 0) kill(child_, SIGKILL), finish();
    std::filesystem::remove_all(folder_);
  }

  void start() {
    winsize size{24, 100, 0, 0};
    child_ = forkpty(&terminal_, nullptr, nullptr, &size);
    ASSERT_GE(child_, 0);
    if (child_ == 0) {
      setenv("XDG_STATE_HOME", (folder_ + "/state").c_str(), 1);
      setenv("TERM", "xterm", 1);
      setenv("LC_ALL", "C", 1);  // even here Chinese must work
      FakeBackend backend;
      const auto editor = LineEditor::open(stdin, stdout, default_history_file());
      const int code = run_repl(*editor, backend, {"", {}, "Welcome"}, stdout, stderr);
      _exit(code);
    }
    screen_.clear();
    ASSERT_TRUE(expect(">>> "));
  }

  void type(std::string_view keys) {
    ASSERT_EQ(write(terminal_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }

  /// Waits until `text` shows up after what was last expected.
  bool expect(const std::string& text) {
    const auto end = std::chrono::steady_clock::now() + testing_support::kPatience;
    while (std::chrono::steady_clock::now() < end) {
      if (const auto at = screen_.find(text); at != std::string::npos) {
        screen_.erase(0, at + text.size());
        return true;
      }
      pollfd ready{terminal_, POLLIN, 0};
      char buffer[4096];
      if (poll(&ready, 1, 100) <= 0) continue;
      const ssize_t size = read(terminal_, buffer, sizeof buffer);
      if (size <= 0) break;
      screen_.append(buffer, static_cast<std::size_t>(size));
    }
    ADD_FAILURE() << "waited for \"" << text << "\", saw: " << testing::PrintToString(screen_);
    return false;
  }

  int finish() {
    int status = 0;
    char buffer[4096];
    while (read(terminal_, buffer, sizeof buffer) > 0) {
    }
    waitpid(child_, &status, 0);
    close(terminal_);
    child_ = -1;
    return status;
  }

  std::string folder_, screen_;
  int terminal_ = -1;
  pid_t child_ = -1;
};

TEST_F(TerminalTest, EditsChineseByTheCharacter) {
  type("你好吗x\x7f\x7f!\r");
  EXPECT_TRUE(expect("echo: 你好!"));
  type("世界\x1b[D\x1b[D大\r");  // two to the left, then insert
  EXPECT_TRUE(expect("echo: 大世界"));
}

TEST_F(TerminalTest, CtrlCGivesUpTheLineAndStopsTheAnswerAndCtrlDLeaves) {
  type("half a line\x03");
  EXPECT_TRUE(expect("(Ctrl-D or /exit leaves)"));
  EXPECT_TRUE(expect(">>> "));
  type("slow\r");
  EXPECT_TRUE(expect("tick tick "));
  type("\x03");
  EXPECT_TRUE(expect("(stopped)"));
  EXPECT_TRUE(expect(">>> "));
  type("after\r");
  EXPECT_TRUE(expect("echo: after"));
  EXPECT_TRUE(expect(">>> "));
  type("\x04");
  const int status = finish();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(TerminalTest, APastedBlockIsOneMessage) {
  type("see: \x1b[200~line 一\rline two\r/exit\r\x1b[201~ end\r");
  EXPECT_TRUE(expect("echo: see: line 一\r\nline two\r\n/exit end"));
}

TEST_F(TerminalTest, HistoryOutlivesTheProgramAndIsPrivate) {
  type("remember 我\r");
  EXPECT_TRUE(expect("echo: remember 我"));
  EXPECT_TRUE(expect(">>> "));
  type("\x04");
  finish();
  struct stat status {};
  ASSERT_EQ(stat((folder_ + "/state/deepwell/history").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  ASSERT_EQ(stat((folder_ + "/state/deepwell").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  start();
  type("\x1b[A");  // up
  EXPECT_TRUE(expect("remember 我"));
  type("\r");
  EXPECT_TRUE(expect("echo: remember 我"));
}

TEST_F(TerminalTest, ControlCharactersOfAnAnswerDoNotReachTheTerminal) {
  type("//x\x16\x1b]0;title\x16\x07y\r");  // Ctrl-V takes the next key as it is
  EXPECT_TRUE(expect("echo: /x]0;titley"));
}

}  // namespace
}  // namespace deepwell
