// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "base/topology.h"

namespace deepwell {

/// Whether each thread stays on a core of its own.
enum class PinThreads { kAuto, kOn, kOff };
inline constexpr std::array<std::string_view, 3> kPinThreadsNames = {"auto", "on", "off"};
std::optional<PinThreads> parse_pin_threads(std::string_view name);

struct ThreadOptions {
  int threads = 0;        ///< 0: one for each fast core
  int threads_batch = 0;  ///< where prompts are read; 0: as many
  /// kAuto: on machines with several NUMA nodes, all of whose CPUs this process may use, and half of whose
  /// cores or more it does. Elsewhere nobody is faster for it, and programs that all pin would want the same
  /// cores while others are free.
  PinThreads pin = PinThreads::kAuto;
};

/// Threads of steps that generate, and of steps that read prompts.
struct PhaseThreads {
  int generate = 1, prompt = 1;
  int most() const { return generate > prompt ? generate : prompt; }
};
PhaseThreads phase_threads(const ThreadOptions& options, const Topology& topology);

/// Where the threads of a pool run.
struct ThreadPlan {
  int threads = 1;                  ///< of them all
  std::vector<int> cpus{};          ///< of each thread; empty: wherever the system wants
  std::vector<int> nodes{};         ///< of each thread: an index of memory_nodes
  std::vector<int> memory_nodes{};  ///< over which weights are sliced; empty: they are not
};

/// Weights are not sliced over more nodes than these.
inline constexpr int kMostNodes = 16;

/// Threads that are pinned to several nodes have weights sliced over those nodes.
ThreadPlan plan_threads(const ThreadOptions& options, const Topology& topology);

}  // namespace deepwell
