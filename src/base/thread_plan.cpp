// SPDX-License-Identifier: Apache-2.0
#include "base/thread_plan.h"

#include <algorithm>

namespace deepwell {
namespace {

bool wants_pins(PinThreads pin, int threads, const Topology& topology) {
  if (pin != PinThreads::kAuto) return pin == PinThreads::kOn;
  return topology.nodes().size() > 1 && !topology.narrowed && 2 * threads >= topology.cores();
}

}  // namespace

std::optional<PinThreads> parse_pin_threads(std::string_view name) {
  const auto at = std::find(kPinThreadsNames.begin(), kPinThreadsNames.end(), name);
  if (at == kPinThreadsNames.end()) return std::nullopt;
  return static_cast<PinThreads>(at - kPinThreadsNames.begin());
}

PhaseThreads phase_threads(const ThreadOptions& options, const Topology& topology) {
  PhaseThreads phase;
  phase.generate = options.threads > 0 ? options.threads : topology.threads();
  phase.prompt = options.threads_batch > 0 ? options.threads_batch : phase.generate;
  return phase;
}

ThreadPlan plan_threads(const ThreadOptions& options, const Topology& topology) {
  const PhaseThreads phase = phase_threads(options, topology);
  ThreadPlan plan;
  plan.threads = phase.most();
  const std::vector<Cpu> order = topology.placing_order();
  // More threads than CPUs take turns wherever there is one.
  if (plan.threads > static_cast<int>(order.size()) || !wants_pins(options.pin, plan.threads, topology))
    return plan;
  for (int i = 0; i < plan.threads; ++i) plan.cpus.push_back(order[static_cast<std::size_t>(i)].id);
  // Every step has threads on each of these, or what a node holds would be far from all of them.
  std::vector<int> nodes;
  for (int i = 0; i < std::min(phase.generate, phase.prompt); ++i)
    nodes.push_back(order[static_cast<std::size_t>(i)].node);
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  if (nodes.size() < 2 || nodes.size() > kMostNodes) return plan;
  plan.memory_nodes = nodes;
  for (int i = 0; i < plan.threads; ++i) {
    const int node = order[static_cast<std::size_t>(i)].node;
    const auto at = std::lower_bound(nodes.begin(), nodes.end(), node);
    plan.nodes.push_back(at != nodes.end() && *at == node ? static_cast<int>(at - nodes.begin()) : 0);
  }
  return plan;
}

}  // namespace deepwell
