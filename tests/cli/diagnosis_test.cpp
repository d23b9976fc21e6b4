// SPDX-License-Identifier: Apache-2.0
// Goal: each trouble a machine can have is found, with advice; a good machine has none.
#include "cli/diagnosis.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace deepwell {
namespace {

Machine good_machine() {
  Machine m;
  m.cpu = "Some CPU";
  m.isa = m.isa_chosen = Isa::kAvx512;
  for (int cpu = 0; cpu < 8; ++cpu) m.topology.cpus.push_back({.id = cpu, .core = cpu});
  m.memory_bytes = 64'000'000'000;
  m.memory_free_bytes = 60'000'000'000;
  m.huge_pages = "madvise";
  m.store = "/srv/models";
  m.store_free_bytes = 100'000'000'000;
  m.default_model = true;
  return m;
}

Finding finding(const Machine& machine, const std::string& name) {
  for (const Finding& one : diagnose(machine))
    if (one.name == name) return one;
  ADD_FAILURE() << "no check " << name;
  return {};
}

TEST(Diagnosis, AGoodMachineHasNothingToDo) {
  for (const Finding& one : diagnose(good_machine())) {
    EXPECT_EQ(one.health, Health::kGood) << one.name;
    EXPECT_EQ(one.advice, "") << one.name;
  }
}

TEST(Diagnosis, EachTroubleIsFoundWithAdvice) {
  struct Case {
    std::string name;
    Health health;
    std::function<void(Machine&)> spoil;
  };
  const std::vector<Case> cases = {
      {"cpu", Health::kSlow, [](Machine& m) { m.isa = m.isa_chosen = Isa::kScalar; }},
      {"cpu", Health::kSlow, [](Machine& m) { m.isa_chosen = Isa::kAvx2; }},
      {"threads", Health::kSlow, [](Machine& m) { m.topology.quota = 1.5; }},
      {"memory", Health::kSlow, [](Machine& m) { m.memory_free_bytes = 1'000'000'000; }},
      {"memory", Health::kBroken, [](Machine& m) { m.memory_free_bytes = 100'000'000; }},
      {"huge_pages", Health::kSlow, [](Machine& m) { m.huge_pages = "never"; }},
      {"store", Health::kBroken, [](Machine& m) { m.store_free_bytes.reset(); }},
      {"store", Health::kSlow, [](Machine& m) { m.store_free_bytes = 1'000'000'000; }},
      {"store", Health::kBroken, [](Machine& m) { m.store_free_bytes = 0, m.default_model = false; }},
      {"default_model", Health::kSlow, [](Machine& m) { m.default_model = false; }},
      {"port", Health::kSlow, [](Machine& m) { m.port_error = "Address already in use"; }},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    Machine machine = good_machine();
    one.spoil(machine);
    EXPECT_EQ(finding(machine, one.name).health, one.health);
    EXPECT_NE(finding(machine, one.name).advice, "");
    EXPECT_EQ(worst(diagnose(machine)), one.health);
  }
}

TEST(Diagnosis, JsonHoldsEveryCheckEvenForAPathThatIsNotUtf8) {
  Machine machine = good_machine();
  machine.store = "/srv/\xff";
  const auto json = nlohmann::json::parse(findings_json(diagnose(machine)));
  EXPECT_EQ(json["status"], "ok");
  EXPECT_EQ(json["checks"].size(), diagnose(machine).size());
  EXPECT_EQ(json["checks"][0]["name"], "cpu");
}

TEST(Diagnosis, TheTableHasALineForEachCheckAndItsAdvice) {
  Machine machine = good_machine();
  machine.default_model = false;
  const std::string table = findings_table(diagnose(machine));
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'),
            static_cast<std::ptrdiff_t>(diagnose(machine).size()) + 1);
  EXPECT_NE(table.find("deepwell pull default"), std::string::npos);
}

TEST(MachineTest, ReadsTheKernelsTexts) {
  EXPECT_EQ(chosen_word("always [madvise] never\n"), "madvise");
  EXPECT_EQ(chosen_word(""), "");
  EXPECT_EQ(chosen_word("]["), "");
  EXPECT_EQ(meminfo_bytes("MemTotal:  10 kB\nMemAvailable:    3 kB\n", "MemAvailable"), 3 * 1024);
  EXPECT_EQ(meminfo_bytes("MemTotal: x\n", "MemTotal"), 0);
  EXPECT_EQ(meminfo_bytes("", "MemTotal"), 0);
}

TEST(MachineTest, SeesATakenPort) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_GE(listener, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes), 0);
  const Machine machine = read_machine("/nowhere/yet", false, ntohs(address.sin_port));
  EXPECT_NE(machine.port_error, "");
  close(listener);
}

TEST(MachineTest, ReadsThisMachine) {
  const Machine machine = read_machine("/nowhere/yet", false, 8321);
  EXPECT_GT(machine.memory_bytes, 0);
  EXPECT_LE(machine.memory_free_bytes, machine.memory_bytes);
  EXPECT_TRUE(machine.store_free_bytes.has_value());  // of the nearest folder there is
}

}  // namespace
}  // namespace deepwell
