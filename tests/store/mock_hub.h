// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "support/temp_dir.h"

extern char** environ;

namespace deepwell::testing_support {

/// mock_hub.py as a child process, with the environment set so that the store talks to it, and a cache of its
/// own.
class MockHub {
 public:
  /// nullptr when there is no python3.
  static std::unique_ptr<MockHub> start() {
    int in[2], out[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) return nullptr;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    std::string script = DEEPWELL_SOURCE_DIR "/tests/store/mock_hub.py";
    std::string python = "python3";
    char* argv[] = {python.data(), script.data(), nullptr};
    pid_t child = 0;
    const int failed = ::posix_spawnp(&child, "python3", &actions, nullptr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]);
    ::close(out[1]);
    std::string port;
    char c = 0;
    while (failed == 0 && ::read(out[0], &c, 1) == 1 && c != '\n') port.push_back(c);
    ::close(out[0]);
    if (failed != 0) return nullptr;
    return std::unique_ptr<MockHub>(new MockHub(child, in[1], "http://127.0.0.1:" + port));
  }
  ~MockHub() {
    ::close(input_);  // it ends when its input does
    int status = 0;
    ::waitpid(child_, &status, 0);
  }
  MockHub(const MockHub&) = delete;
  MockHub& operator=(const MockHub&) = delete;
  const std::string& url() const { return url_; }

 private:
  MockHub(pid_t child, int input, std::string url) : child_(child), input_(input), url_(std::move(url)) {}
  pid_t child_;
  int input_;
  std::string url_;
};

/// Sets an environment variable (or unsets it: nullptr) while it lives.
class ScopedEnvironment {
 public:
  ScopedEnvironment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) {
      had_ = true;
      old_ = old;
    }
    set(value);
  }
  ScopedEnvironment(const ScopedEnvironment&) = delete;
  ScopedEnvironment& operator=(const ScopedEnvironment&) = delete;
  ~ScopedEnvironment() { set(had_ ? old_.c_str() : nullptr); }

 private:
  void set(const char* value) {
    if (value != nullptr)
      ::setenv(name_, value, 1);
    else
      ::unsetenv(name_);
  }
  const char* name_;
  bool had_ = false;
  std::string old_;
};

}  // namespace deepwell::testing_support
