// SPDX-License-Identifier: Apache-2.0
#include "base/topology.h"

#include <sched.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <set>

#include <fmt/format.h>

#include "base/cgroup_cpu.h"
#include "base/system_file.h"

namespace deepwell {
namespace {

constexpr int kMostCpus = 1 << 16;
// Cores of one processor differ by a few percent in their highest clock, its efficient ones by 25 and more.
constexpr double kFastShare = 0.8;

std::optional<long> number_in(const std::string& path) {
  const auto text = read_system_file(path);
  if (!text) return std::nullopt;
  long number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  const bool whole = error == std::errc() && (end == text->data() + text->size() || *end == '\n');
  return whole && number >= 0 && number <= INT_MAX ? std::optional(number) : std::nullopt;
}

std::optional<std::vector<int>> list_in(const std::string& path) {
  const auto text = read_system_file(path);
  return text ? parse_cpu_list(*text) : std::nullopt;
}

/// CPUs that the scheduler may give this process: its affinity, which cpusets narrow, too.
std::vector<int> allowed_below(const std::string& root) {
  const auto status = read_system_file(root + "/proc/self/status");
  constexpr std::string_view kName = "\nCpus_allowed_list:";
  const std::size_t at = status ? status->find(kName) : std::string::npos;
  if (at != std::string::npos) {
    std::string_view rest = std::string_view(*status).substr(at + kName.size());
    rest = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
    if (auto list = parse_cpu_list(rest); list && !list->empty()) return *std::move(list);
  }
  return root.empty() ? allowed_cpus() : std::vector<int>{};
}

std::map<int, int> nodes_of_cpus(const std::string& folder) {
  std::map<int, int> nodes;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    int node = 0;
    const char* const last = name.data() + name.size();
    if (!name.starts_with("node") || name.size() > 8 ||
        std::from_chars(name.data() + 4, last, node).ptr != last || name.size() == 4)
      continue;
    for (const int cpu : list_in(at->path().string() + "/cpulist").value_or(std::vector<int>{}))
      nodes.emplace(cpu, node);
  }
  return nodes;
}

/// Marks CPUs that are clearly weaker than the best by what the file `name` says of each.
void mark_slow(std::vector<Cpu>& cpus, const std::string& folder, const char* name) {
  std::vector<long> strengths;
  for (const Cpu& cpu : cpus)
    strengths.push_back(number_in(fmt::format("{}cpu{}/{}", folder, cpu.id, name)).value_or(-1));
  const auto least = kFastShare * static_cast<double>(*std::max_element(strengths.begin(), strengths.end()));
  for (std::size_t i = 0; i < cpus.size(); ++i)
    if (strengths[i] >= 0 && static_cast<double>(strengths[i]) < least) cpus[i].fast = false;
}

template <class Key>
int distinct(const std::vector<Cpu>& cpus, Key key) {
  std::set<int> values;
  for (const Cpu& cpu : cpus) values.insert(key(cpu));
  return static_cast<int>(values.size());
}

}  // namespace

std::optional<std::vector<int>> parse_cpu_list(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  std::set<int> cpus;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    int first = 0, last = 0;
    const char* const end = part.data() + part.size();
    const auto one = std::from_chars(part.data(), end, first);
    if (one.ec != std::errc()) return std::nullopt;
    last = first;
    if (one.ptr != end) {
      const auto two = std::from_chars(one.ptr + 1, end, last);
      if (*one.ptr != '-' || two.ec != std::errc() || two.ptr != end) return std::nullopt;
    }
    if (first < 0 || last < first || last >= kMostCpus) return std::nullopt;
    for (int cpu = first; cpu <= last; ++cpu) cpus.insert(cpu);
    text.remove_prefix(std::min(part.size() + 1, text.size()));
  }
  return std::vector<int>(cpus.begin(), cpus.end());
}

Topology read_topology(const std::string& root) {
  const std::string system = root + "/sys/devices/system/", folder = system + "cpu/";
  const std::vector<int> online = list_in(folder + "online").value_or(std::vector<int>{});
  Topology topology;
  std::vector<int> ids = allowed_below(root);
  if (ids.empty()) ids = online;
  if (!online.empty()) {  // an affinity may name what is not there
    std::vector<int> both;
    std::set_intersection(ids.begin(), ids.end(), online.begin(), online.end(), std::back_inserter(both));
    if (!both.empty()) ids = std::move(both);
    topology.narrowed = ids.size() < online.size();
  }
  if (ids.empty()) ids = {0};

  const std::map<int, int> nodes = nodes_of_cpus(system + "node");
  const std::vector<int> slow = list_in(root + "/sys/devices/cpu_atom/cpus").value_or(std::vector<int>{});
  std::map<int, int> cores;  // by the lowest CPU of each
  for (const int id : ids) {
    const std::string cpu = fmt::format("{}cpu{}", folder, id);
    auto siblings = list_in(cpu + "/topology/thread_siblings_list");
    if (!siblings || !std::binary_search(siblings->begin(), siblings->end(), id)) siblings = {{id}};
    const auto [core, is_new] = cores.emplace(siblings->front(), static_cast<int>(cores.size()));
    const auto node = nodes.find(id);
    topology.cpus.push_back(
        {id, core->second, static_cast<int>(number_in(cpu + "/topology/physical_package_id").value_or(0)),
         node == nodes.end() ? 0 : node->second, !std::binary_search(slow.begin(), slow.end(), id), is_new});
  }
  mark_slow(topology.cpus, folder, "cpu_capacity");
  mark_slow(topology.cpus, folder, "cpufreq/cpuinfo_max_freq");
  const bool any_fast =
      std::any_of(topology.cpus.begin(), topology.cpus.end(), [](const Cpu& cpu) { return cpu.fast; });
  for (Cpu& cpu : topology.cpus) cpu.fast |= !any_fast;  // what is best here is fast here
  topology.quota = cgroup_cpu_quota(root);
  return topology;
}

const Topology& machine_topology() {
  static const Topology topology = [] {
    const char* const root = std::getenv("DEEPWELL_TOPOLOGY");
    return read_topology(root == nullptr ? "" : root);
  }();
  return topology;
}

// The CPUs of the affinity mask. The mask grows until the kernel accepts it: machines beyond 1024 CPUs exist.
std::vector<int> allowed_cpus() {
  for (int cpus = CPU_SETSIZE; cpus <= (1 << 20); cpus *= 2) {
    const std::size_t bytes = CPU_ALLOC_SIZE(cpus);
    std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(cpus), [](cpu_set_t* s) { CPU_FREE(s); });
    CPU_ZERO_S(bytes, set.get());
    if (sched_getaffinity(0, bytes, set.get()) == 0) {
      std::vector<int> allowed;
      for (int cpu = 0; cpu < cpus; ++cpu)
        if (CPU_ISSET_S(static_cast<std::size_t>(cpu), bytes, set.get())) allowed.push_back(cpu);
      return allowed;
    }
    if (errno != EINVAL) break;
  }
  return {0};
}

bool keep_to_cpus(const std::vector<int>& cpus) {
  const auto count = static_cast<std::size_t>(*std::max_element(cpus.begin(), cpus.end())) + 1;
  const std::size_t bytes = CPU_ALLOC_SIZE(count);
  std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(count), [](cpu_set_t* s) { CPU_FREE(s); });
  if (set == nullptr) return false;
  CPU_ZERO_S(bytes, set.get());
  for (const int cpu : cpus) CPU_SET_S(static_cast<std::size_t>(cpu), bytes, set.get());
  return sched_setaffinity(0, bytes, set.get()) == 0;
}

int Topology::sockets() const {
  return distinct(cpus, [](const Cpu& cpu) { return cpu.socket; });
}

std::vector<int> Topology::nodes() const {
  std::set<int> all;
  for (const Cpu& cpu : cpus) all.insert(cpu.node);
  return {all.begin(), all.end()};
}

int Topology::cores() const {
  return distinct(cpus, [](const Cpu& cpu) { return cpu.core; });
}

int Topology::fast_cores() const {
  return static_cast<int>(
      std::count_if(cpus.begin(), cpus.end(), [](const Cpu& cpu) { return cpu.first && cpu.fast; }));
}

int Topology::threads() const {
  const int all = std::max(1, fast_cores());
  return quota && *quota < all ? std::max(1, static_cast<int>(std::ceil(*quota))) : all;
}

std::vector<Cpu> Topology::placing_order() const {
  std::map<std::pair<int, int>, int> placed;  // on a node, of a rank
  std::vector<std::pair<std::array<int, 3>, Cpu>> ranked;
  for (const Cpu& cpu : cpus) {
    const int rank = !cpu.first ? 2 : cpu.fast ? 0 : 1;
    ranked.push_back({{rank, placed[{cpu.node, rank}]++, cpu.node}, cpu});
  }
  std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Cpu> order;
  for (const auto& [rank, cpu] : ranked) order.push_back(cpu);
  return order;
}

}  // namespace deepwell
