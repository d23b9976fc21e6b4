// SPDX-License-Identifier: Apache-2.0
// Goal: what /sys, /proc and the cgroups say becomes the CPUs that are really there for this process, and
// nothing that they may hold can break it. Method: folders that look like machines: two sockets with SMT,
// hybrid cores, holes in the numbering, CPUs offline, containers; then every file replaced by garbage.
#include "base/topology.h"

#include <gtest/gtest.h>

#include "base/thread_plan.h"
#include "fake_machine.h"

namespace deepwell {
namespace {

std::vector<int> ids(const std::vector<Cpu>& cpus) {
  std::vector<int> all;
  for (const Cpu& cpu : cpus) all.push_back(cpu.id);
  return all;
}

// 2 sockets of 2 nodes each, 4 cores a node, hyperthreads 16 higher.
void two_sockets(FakeMachine& machine) {
  machine.set("cpu/online", "0-31\n");
  for (int cpu = 0; cpu < 32; ++cpu)
    machine.cpu(cpu, cpu % 16 / 8, fmt::format("{},{}", cpu % 16, cpu % 16 + 16));
  for (int node = 0; node < 4; ++node)
    machine.set(fmt::format("node/node{}/cpulist", node),
                fmt::format("{}-{},{}-{}\n", node * 4, node * 4 + 3, node * 4 + 16, node * 4 + 19));
}

TEST(CpuList, ReadsRangesAndRefusesTheRest) {
  EXPECT_EQ(parse_cpu_list("0-3,8\n"), (std::vector<int>{0, 1, 2, 3, 8}));
  EXPECT_EQ(parse_cpu_list("5,5,1-1"), (std::vector<int>{1, 5}));
  EXPECT_EQ(parse_cpu_list("\n"), std::vector<int>{});
  for (const char* text :
       {"x", "1-", "-1", "3-1", "1,,2", "0-99999999", "99999999999999999999", "1 2", "0-3x"})
    EXPECT_EQ(parse_cpu_list(text), std::nullopt) << text;
}

TEST(TopologyTest, TwoSocketsWithHyperthreads) {
  FakeMachine machine;
  two_sockets(machine);
  const Topology found = read_topology(machine.root());
  EXPECT_EQ(found.cpus.size(), 32U);
  EXPECT_EQ(found.sockets(), 2);
  EXPECT_EQ(found.nodes(), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(found.cores(), 16);
  EXPECT_EQ(found.threads(), 16);
  const std::vector<int> order = ids(found.placing_order());
  EXPECT_EQ(std::vector<int>(order.begin(), order.begin() + 6), (std::vector<int>{0, 4, 8, 12, 1, 5}));
  EXPECT_EQ(order[16], 16) << "other hyperthreads come last";
}

TEST(TopologyTest, AnAffinityLeavesItsCpusOnly) {
  FakeMachine machine;
  two_sockets(machine);
  machine.allow("2-5,18,40");
  const Topology found = read_topology(machine.root());
  EXPECT_EQ(ids(found.cpus), (std::vector<int>{2, 3, 4, 5, 18})) << "40 is not there";
  EXPECT_EQ(found.cores(), 4);
  EXPECT_EQ(found.nodes(), (std::vector<int>{0, 1}));
}

TEST(TopologyTest, HybridProcessorsComputeOnTheirFastCores) {
  FakeMachine machine;  // 4 fast cores with hyperthreads, 4 efficient ones
  machine.set("cpu/online", "0-11");
  for (int cpu = 0; cpu < 8; ++cpu) machine.cpu(cpu, 0, fmt::format("{}-{}", cpu / 2 * 2, cpu / 2 * 2 + 1));
  for (int cpu = 8; cpu < 12; ++cpu) machine.cpu(cpu, 0, std::to_string(cpu));
  machine.set("../cpu_atom/cpus", "8-11\n");
  Topology found = read_topology(machine.root());
  EXPECT_EQ(found.cores(), 8);
  EXPECT_EQ(found.threads(), 4);
  EXPECT_EQ(ids(found.placing_order()), (std::vector<int>{0, 2, 4, 6, 8, 9, 10, 11, 1, 3, 5, 7}));
  machine.allow("8-11");
  EXPECT_EQ(read_topology(machine.root()).threads(), 4) << "the best that it may use";
}

TEST(TopologyTest, SlowCoresAreKnownByCapacityOrClock) {
  for (const char* name : {"cpu_capacity", "cpufreq/cpuinfo_max_freq"}) {
    FakeMachine machine;
    machine.set("cpu/online", "0-3");
    for (int cpu = 0; cpu < 4; ++cpu) {
      machine.cpu(cpu, 0, std::to_string(cpu));
      machine.set(fmt::format("cpu/cpu{}/{}", cpu, name), cpu == 0   ? "5000\n"
                                                          : cpu == 1 ? "4700\n"
                                                                     : "3300\n");
    }
    EXPECT_EQ(read_topology(machine.root()).threads(), 2) << name;
  }
}

TEST(TopologyTest, NumbersMayHaveHolesAndCpusMayBeOffline) {
  FakeMachine machine;
  machine.set("cpu/online", "0,2-3,64");
  for (const int cpu : {0, 2, 3, 64}) machine.cpu(cpu, cpu / 64 * 3, std::to_string(cpu));
  machine.set("node/node2/cpulist", "0-3\n");
  machine.set("node/node7/cpulist", "64-67\n");
  machine.set("node/node9/cpulist", "\n");  // memory alone
  machine.allow("0-127");
  const Topology found = read_topology(machine.root());
  EXPECT_EQ(ids(found.cpus), (std::vector<int>{0, 2, 3, 64}));
  EXPECT_EQ(found.nodes(), (std::vector<int>{2, 7}));
  EXPECT_EQ(found.sockets(), 2);
}

TEST(TopologyTest, AContainersQuotaIsRoundedUp) {
  FakeMachine machine;
  two_sockets(machine);
  machine.file("proc/self/cgroup", "0::/box\n");
  machine.file("sys/fs/cgroup/box/cpu.max", "150000 100000\n");
  const Topology found = read_topology(machine.root());
  EXPECT_DOUBLE_EQ(found.quota.value(), 1.5);
  EXPECT_EQ(found.threads(), 2);
  EXPECT_EQ(found.cores(), 16);
}

TEST(TopologyTest, NothingIsAMachineOfOneCpu) {
  const FakeMachine machine;
  const Topology found = read_topology(machine.root());
  EXPECT_EQ(found.cpus.size(), 1U);
  EXPECT_EQ(found.threads(), 1);
  EXPECT_EQ(found.nodes(), std::vector<int>{0});
}

TEST(TopologyTest, GarbageCountsAsNotSaid) {
  for (const std::string& garbage : std::vector<std::string>{
           "", "x", "-5\n", "0-", "4000000000", std::string(5000, '9'), std::string("\0\xff", 2)}) {
    FakeMachine machine;
    two_sockets(machine);
    for (int cpu = 0; cpu < 32; ++cpu) {
      machine.cpu(cpu, 0, garbage);
      for (const char* name : {"topology/physical_package_id", "cpu_capacity", "cpufreq/cpuinfo_max_freq"})
        machine.set(fmt::format("cpu/cpu{}/{}", cpu, name), garbage);
    }
    machine.set("node/node1/cpulist", garbage);
    machine.set("node/nodeX/cpulist", "0-31");
    machine.set("../cpu_atom/cpus", garbage);
    machine.allow(garbage);
    machine.file("proc/self/cgroup", garbage);
    machine.file("sys/fs/cgroup/cpu.max", garbage);
    const Topology found = read_topology(machine.root());
    EXPECT_EQ(found.cpus.size(), 32U) << garbage;
    EXPECT_EQ(found.threads(), 32) << garbage;
    EXPECT_EQ(found.sockets(), 1) << garbage;
  }
}

TEST(TopologyTest, ThisMachineIsThere) {
  const Topology found = read_topology("");
  EXPECT_GE(found.threads(), 1);
  EXPECT_LE(found.threads(), found.cores());
  EXPECT_LE(found.cores(), static_cast<int>(found.cpus.size()));
}

TEST(ThreadPlanTest, OneNodeIsLeftToTheSystem) {
  FakeMachine machine;
  machine.set("cpu/online", "0-3");
  const Topology found = read_topology(machine.root());
  EXPECT_EQ(plan_threads({}, found).threads, 4);
  EXPECT_TRUE(plan_threads({}, found).cpus.empty());
  const ThreadPlan pinned = plan_threads({.pin = PinThreads::kOn}, found);
  EXPECT_EQ(pinned.cpus, (std::vector<int>{0, 1, 2, 3}));
  EXPECT_TRUE(pinned.memory_nodes.empty());
  EXPECT_TRUE(plan_threads({.threads = 5, .pin = PinThreads::kOn}, found).cpus.empty()) << "more than CPUs";
}

TEST(ThreadPlanTest, SeveralNodesAreSlicedAmongPinnedThreads) {
  FakeMachine machine;
  two_sockets(machine);
  const Topology found = read_topology(machine.root());
  const ThreadPlan plan = plan_threads({}, found);
  EXPECT_EQ(plan.threads, 16);
  EXPECT_EQ(plan.memory_nodes, (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(std::vector<int>(plan.nodes.begin(), plan.nodes.begin() + 5), (std::vector<int>{0, 1, 2, 3, 0}));
  EXPECT_TRUE(plan_threads({.threads = 4}, found).cpus.empty()) << "others may want the same few";
  EXPECT_TRUE(plan_threads({.pin = PinThreads::kOff}, found).memory_nodes.empty());
}

TEST(ThreadPlanTest, WhereSomebodyChoseTheCpusNothingIsPinnedUnasked) {
  FakeMachine machine;
  two_sockets(machine);
  machine.allow("0-3,8-11");
  const Topology found = read_topology(machine.root());
  EXPECT_EQ(found.nodes().size(), 2U);
  EXPECT_TRUE(plan_threads({}, found).cpus.empty());
  EXPECT_EQ(plan_threads({.pin = PinThreads::kOn}, found).cpus, (std::vector<int>{0, 8, 1, 9, 2, 10, 3, 11}));
}

TEST(ThreadPlanTest, PhasesHaveThreadsOfTheirOwn) {
  FakeMachine machine;
  machine.set("cpu/online", "0-7");
  const Topology found = read_topology(machine.root());
  const auto of = [&](int threads, int batch) {
    const PhaseThreads phase = phase_threads({.threads = threads, .threads_batch = batch}, found);
    EXPECT_EQ(plan_threads({.threads = threads, .threads_batch = batch}, found).threads, phase.most());
    return std::pair(phase.generate, phase.prompt);
  };
  EXPECT_EQ(of(0, 0), std::pair(8, 8));
  EXPECT_EQ(of(3, 0), std::pair(3, 3));
  EXPECT_EQ(of(0, 3), std::pair(8, 3));
  EXPECT_EQ(of(4, 12), std::pair(4, 12));
}

TEST(ThreadPlanTest, PinHasThreeNames) {
  for (std::size_t i = 0; i < kPinThreadsNames.size(); ++i)
    EXPECT_EQ(parse_pin_threads(kPinThreadsNames[i]), static_cast<PinThreads>(i));
  EXPECT_FALSE(parse_pin_threads("yes"));
  EXPECT_FALSE(parse_pin_threads(""));
}

TEST(ThreadPlanTest, NodesWithoutAThreadHoldNothing) {
  FakeMachine machine;
  two_sockets(machine);
  const Topology found = read_topology(machine.root());
  const ThreadPlan two = plan_threads({.threads = 2, .threads_batch = 32, .pin = PinThreads::kOn}, found);
  EXPECT_EQ(two.threads, 32);
  EXPECT_EQ(two.memory_nodes, (std::vector<int>{0, 1})) << "where threads generate";
  EXPECT_EQ(two.nodes.size(), 32U);
  EXPECT_TRUE(plan_threads({.threads = 1, .pin = PinThreads::kOn}, found).memory_nodes.empty());
}

}  // namespace
}  // namespace deepwell
