// SPDX-License-Identifier: Apache-2.0
#include "base/cpu.h"

#include <cpuid.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "base/cgroup_cpu.h"
#include "base/cgroup_memory.h"
#include "base/system_file.h"
#include "base/topology.h"

namespace deepwell {
namespace {

// Where this process's cgroup lies below the mount: "/user.slice/x" in a line "0::/user.slice/x" (version 2)
// or "4:cpu,cpuacct:/x" (version 1).
std::string cgroup_path(const std::string& root, std::string_view controller) {
  std::ifstream in(root + "/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool match =
        controller.empty() ? names == ",," : names.find(fmt::format(",{},", controller)) != std::string::npos;
    if (match) return line.substr(second + 1);
  }
  return "/";
}

// Calls `quota_in(folder)` for the cgroup's folder and every parent up to `mount`; the smallest answer.
template <class QuotaIn>
std::optional<double> smallest_on_the_way_up(const std::string& mount, std::string path, QuotaIn quota_in) {
  std::optional<double> smallest;
  while (true) {
    if (const auto quota = quota_in(mount + path); quota && (!smallest || *quota < *smallest))
      smallest = quota;
    if (path.empty()) return smallest;
    path.resize(path.find_last_of('/') == std::string::npos ? 0 : path.find_last_of('/'));
  }
}

// F16C by its CPUID bit: clang 14's builtin does not know the word. That the system saves the registers it
// uses is what the answer for AVX2 already includes.
bool cpu_has_avx2() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  const bool f16c = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
  return f16c && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

bool cpu_has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni");
}

}  // namespace

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return "scalar";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
  }
  return "unknown";
}

std::optional<Isa> isa_from_name(std::string_view name) {
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512})
    if (isa_name(isa) == name) return isa;
  return std::nullopt;
}

// The builtins read CPUID and XGETBV: a feature the operating system does not save counts as absent.
Isa cpu_isa() {
  static const Isa isa = [] {
    __builtin_cpu_init();
    if (!cpu_has_avx2()) return Isa::kScalar;
    return cpu_has_avx512() ? Isa::kAvx512 : Isa::kAvx2;
  }();
  return isa;
}

Result<Isa> choose_isa(const char* wanted, Isa has) {
  if (wanted == nullptr || *wanted == '\0') return has;
  const std::optional<Isa> isa = isa_from_name(wanted);
  if (!isa)
    return Error{ErrorCode::kInvalid,
                 fmt::format("DEEPWELL_ISA is '{}'; set it to scalar, avx2 or avx512, or unset it", wanted)};
  if (*isa > has)
    return Error{ErrorCode::kUnsupported,
                 fmt::format("DEEPWELL_ISA is {} but this CPU has at most {}; lower or unset it", wanted,
                             isa_name(has))};
  return *isa;
}

const Result<Isa>& isa_from_environment() {
  static const Result<Isa> isa = choose_isa(std::getenv("DEEPWELL_ISA"), cpu_isa());
  return isa;
}

Isa best_isa() {
  static const Isa isa = isa_from_environment().ok() ? *isa_from_environment() : cpu_isa();
  return isa;
}

bool has_avx512_bf16() { return best_isa() == Isa::kAvx512 && __builtin_cpu_supports("avx512bf16"); }
bool has_avx512_vbmi() { return best_isa() == Isa::kAvx512 && __builtin_cpu_supports("avx512vbmi"); }

int physical_cores() { return machine_topology().threads(); }

std::optional<double> parse_cpu_max(std::string_view text) {
  std::istringstream in{std::string(text)};
  double quota = 0;
  double period = 0;
  if (!(in >> quota >> period) || quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

std::optional<double> cgroup_cpu_quota(const std::string& root) {
  const auto version2 = [](const std::string& folder) {
    const auto text = read_system_file(folder + "/cpu.max");
    return text ? parse_cpu_max(*text) : std::nullopt;
  };
  const auto version1 = [](const std::string& folder) {
    const auto quota = read_system_file(folder + "/cpu.cfs_quota_us");
    const auto period = read_system_file(folder + "/cpu.cfs_period_us");
    return quota && period ? parse_cpu_max(*quota + " " + *period) : std::nullopt;
  };
  const auto unified = smallest_on_the_way_up(root + "/sys/fs/cgroup", cgroup_path(root, ""), version2);
  const auto old = smallest_on_the_way_up(root + "/sys/fs/cgroup/cpu", cgroup_path(root, "cpu"), version1);
  if (unified && old) return std::min(*unified, *old);
  return unified ? unified : old;
}

std::optional<std::int64_t> cgroup_memory_left() {
  // Limit minus use, as floats: "max" is no number, version 1 says "none" with one near 2^63.
  const auto left = [](const std::string& folder, const char* limit_name, const char* used_name,
                       std::string_view file_prefix) -> std::optional<double> {
    const auto limit = read_system_file(folder + limit_name), used = read_system_file(folder + used_name);
    if (!limit || !used) return std::nullopt;
    double most = 0, now = 0, cached = 0;
    if (!(std::istringstream(*limit) >> most) || most > 1e18 || !(std::istringstream(*used) >> now))
      return std::nullopt;
    std::istringstream lines(read_system_file(folder + "/memory.stat").value_or(""));
    std::string name;
    for (double value = 0; lines >> name >> value;)
      if (name == std::string(file_prefix) + "inactive_file" ||
          name == std::string(file_prefix) + "active_file")
        cached += value;
    return std::max(0.0, most - std::max(0.0, now - cached));
  };
  const auto version2 = [&](const std::string& folder) {
    return left(folder, "/memory.max", "/memory.current", "");
  };
  const auto version1 = [&](const std::string& folder) {
    return left(folder, "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_");
  };
  const auto unified = smallest_on_the_way_up("/sys/fs/cgroup", cgroup_path("", ""), version2);
  const auto old = smallest_on_the_way_up("/sys/fs/cgroup/memory", cgroup_path("", "memory"), version1);
  if (!unified && !old) return std::nullopt;
  return static_cast<std::int64_t>(std::min(unified.value_or(1e18), old.value_or(1e18)));
}

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("model name")) continue;
    const std::size_t start = line.find_first_not_of(" \t", line.find(':') + 1);
    if (start != std::string::npos) return line.substr(start);
  }
  return "unknown CPU";
}

}  // namespace deepwell
