// SPDX-License-Identifier: Apache-2.0
#include "store/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/human.h"

extern char** environ;

namespace deepwell {
namespace {

constexpr std::size_t kOutputBytes = 16 << 10;

struct Pipe {
  int read_end = -1, write_end = -1;
  ~Pipe() {
    close_write();
    if (read_end >= 0) ::close(read_end);
  }
  void close_write() {
    if (write_end >= 0) ::close(write_end);
    write_end = -1;
  }
};

/// Until the end of the output; false when `alive` said stop.
bool gather(int fd, const std::function<bool()>& alive, std::string& output) {
  std::array<char, 4096> buffer;
  while (true) {
    pollfd wait{fd, POLLIN, 0};
    const int ready = ::poll(&wait, 1, 100);
    if (!alive()) return false;
    if (ready <= 0) continue;
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    output.append(buffer.data(), static_cast<std::size_t>(got));
    if (output.size() > 2 * kOutputBytes) output.erase(0, output.size() - kOutputBytes);
  }
}

}  // namespace

Result<ProcessResult> run_process(const std::vector<std::string>& arguments,
                                  const std::function<bool()>& alive) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments)
    argv.push_back(const_cast<char*>(argument.c_str()));  // never written
  argv.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return Error{ErrorCode::kIo, fmt::format("no pipe: {}", std::strerror(errno))};
  Pipe pipe{ends[0], ends[1]};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);  // nobody is asked anything
  posix_spawn_file_actions_adddup2(&actions, pipe.write_end, 1);
  posix_spawn_file_actions_adddup2(&actions, pipe.write_end, 2);
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  pipe.close_write();
  if (failed != 0)
    return Error{failed == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                 fmt::format("cannot run {}: {}", printable(arguments.front()), std::strerror(failed))};
  ProcessResult result;
  const bool finished = gather(pipe.read_end, alive, result.output);
  if (!finished) ::kill(child, SIGTERM);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!finished) return Error{ErrorCode::kCancelled, "stopped"};
  if (result.output.size() > kOutputBytes) result.output.erase(0, result.output.size() - kOutputBytes);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace deepwell
