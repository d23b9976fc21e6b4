// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace deepwell {

/// A CPU that this process may run on.
struct Cpu {
  int id = 0;         ///< the system's number
  int core = 0;       ///< cores are counted from 0; hyperthreads share one
  int socket = 0;     ///< the system's number
  int node = 0;       ///< of the memory it is nearest to: the system's number
  bool fast = true;   ///< false: an efficient core of a hybrid processor
  bool first = true;  ///< of those of its core
};

/// The part of the machine that this process may compute on, at least one CPU.
struct Topology {
  std::vector<Cpu> cpus;        ///< by id
  std::optional<double> quota;  ///< CPUs' worth of time that the cgroups allow
  bool narrowed = false;        ///< by an affinity or a cpuset, which leave out CPUs of the machine

  int sockets() const;
  std::vector<int> nodes() const;  ///< their numbers, ascending
  int cores() const;
  int fast_cores() const;
  /// Threads that are worth it: one for each fast core, but no more than the quota, rounded up.
  int threads() const;
  /// CPUs in the order in which threads are best placed: one of each fast core, by turns from every node,
  /// then those of the slower cores, then the other hyperthreads.
  std::vector<Cpu> placing_order() const;
};

/// What /sys, /proc and the cgroups below `root` ("" for the machine's own) say. Whatever is missing there or
/// makes no sense counts as a plain machine: each CPU a core, all of one node.
Topology read_topology(const std::string& root);

/// read_topology of the folder that DEEPWELL_TOPOLOGY names, or of this machine, when first asked for.
const Topology& machine_topology();

/// CPUs of the calling thread's affinity, ascending; at least one.
std::vector<int> allowed_cpus();

/// Keeps the calling thread, and what it starts from now on, to these CPUs; false where the system refuses.
bool keep_to_cpus(const std::vector<int>& cpus);

/// "0-3,8" as numbers, ascending, each once; nothing for what is not such a text, or is beyond any machine.
std::optional<std::vector<int>> parse_cpu_list(std::string_view text);

}  // namespace deepwell
