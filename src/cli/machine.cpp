// SPDX-License-Identifier: Apache-2.0
#include "cli/machine.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>
#include <utility>

namespace deepwell {
namespace {

std::string file_text(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// A cgroup's number, or the largest when it says "max" or is absent.
std::int64_t cgroup_number(const std::string& path) {
  std::istringstream in(file_text(path));
  std::int64_t number = 0;
  return in >> number ? number : std::numeric_limits<std::int64_t>::max();
}

// Inside a container the mount shows the container's own group, whose limit is the one that kills.
void apply_memory_limit(Machine& machine) {
  const std::string root = "/sys/fs/cgroup/";
  const bool unified = std::filesystem::exists(root + "memory.max");
  const std::int64_t limit = cgroup_number(root + (unified ? "memory.max" : "memory/memory.limit_in_bytes"));
  if (limit >= machine.memory_bytes) return;
  const std::int64_t used =
      cgroup_number(root + (unified ? "memory.current" : "memory/memory.usage_in_bytes"));
  machine.memory_bytes = limit;
  machine.memory_free_bytes =
      std::min(machine.memory_free_bytes, std::max<std::int64_t>(0, limit - std::min(used, limit)));
}

// The store may not exist before the first pull; its disk is that of the nearest parent that does.
std::optional<std::int64_t> free_bytes(std::filesystem::path folder) {
  std::error_code error;
  folder = std::filesystem::absolute(folder, error);
  while (!std::filesystem::exists(folder, error) && folder.has_relative_path()) folder = folder.parent_path();
  const auto space = std::filesystem::space(folder, error);
  if (error) return std::nullopt;
  return static_cast<std::int64_t>(space.available);
}

// Binds as the server does (SO_REUSEADDR: a port in TIME_WAIT is free) and lets go again.
std::string port_error(int port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) return std::strerror(errno);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string why;
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener, 1) != 0)
    why = std::strerror(errno);
  close(listener);
  return why;
}

}  // namespace

std::string chosen_word(const std::string& line) {
  const std::size_t open = line.find('[');
  const std::size_t close = line.find(']', open == std::string::npos ? 0 : open);
  return open == std::string::npos || close == std::string::npos ? ""
                                                                 : line.substr(open + 1, close - open - 1);
}

std::int64_t meminfo_bytes(const std::string& text, const std::string& name) {
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name + ":")) continue;
    std::istringstream number(line.substr(name.size() + 1));
    std::int64_t kibibytes = 0;
    return number >> kibibytes ? kibibytes * 1024 : 0;
  }
  return 0;
}

Machine read_machine(std::string store, bool default_model, int port) {
  Machine machine;
  machine.cpu = cpu_name();
  machine.isa = cpu_isa();
  machine.isa_chosen = best_isa();
  machine.bf16 = has_avx512_bf16();
  machine.vbmi = has_avx512_vbmi();
  machine.topology = machine_topology();
  const std::string meminfo = file_text("/proc/meminfo");
  machine.memory_bytes = meminfo_bytes(meminfo, "MemTotal");
  machine.memory_free_bytes = meminfo_bytes(meminfo, "MemAvailable");
  apply_memory_limit(machine);
  machine.huge_pages = chosen_word(file_text("/sys/kernel/mm/transparent_hugepage/enabled"));
  machine.store_free_bytes = free_bytes(store);
  machine.store = std::move(store);
  machine.default_model = default_model;
  machine.port = port;
  machine.port_error = port_error(port);
  return machine;
}

}  // namespace deepwell
