// SPDX-License-Identifier: Apache-2.0
#include "cli/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/human.h"

namespace deepwell {
namespace {

constexpr std::int64_t kMemoryNeeded = 500'000'000;  // the default model with its cache, and some room
constexpr std::int64_t kMemoryGood = 2'000'000'000;
constexpr std::int64_t kDiskNeeded = 200'000'000;   // the default model, fetched and unpacked
constexpr std::int64_t kDiskGood = 10'000'000'000;  // a small distill

Finding cpu(const Machine& m) {
  Finding found{"cpu", fmt::format("{}, {}", m.cpu, isa_name(m.isa_chosen)), Health::kGood, ""};
  if (m.bf16) found.value += " + bf16";
  if (m.vbmi) found.value += " + vbmi";
  if (m.isa_chosen < m.isa) {
    found.health = Health::kSlow;
    found.advice = fmt::format("DEEPWELL_ISA holds it back; unset it to use {}", isa_name(m.isa));
  } else if (m.isa == Isa::kScalar) {
    found.health = Health::kSlow;
    found.advice =
        "no AVX2, FMA and F16C: answers come slowly; if this is a virtual machine, pass the host's CPU "
        "through";
  }
  return found;
}

Finding threads(const Machine& m) {
  const Topology& t = m.topology;
  const int cores = t.cores(), slow = cores - t.fast_cores();
  const auto counted = [](std::size_t count, const char* what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
  };
  Finding found{
      "threads",
      fmt::format("{}: {}, {}, {}, {}", t.threads(), counted(static_cast<std::size_t>(t.sockets()), "socket"),
                  counted(t.nodes().size(), "NUMA node"), counted(static_cast<std::size_t>(cores), "core"),
                  counted(t.cpus.size(), "CPU")),
      Health::kGood, ""};
  if (slow > 0) found.value += fmt::format(", {} of the cores efficient ones", slow);
  if (t.quota) found.value += fmt::format(", the cgroup allows {:.2f}", *t.quota);
  if (t.quota && *t.quota + 0.5 < static_cast<double>(t.cpus.size())) {
    found.health = Health::kSlow;
    found.advice =
        fmt::format("the container's CPU limit leaves {:.2f} of {} CPUs; raise it to compute faster",
                    *t.quota, t.cpus.size());
  }
  return found;
}

Finding memory(const Machine& m) {
  Finding found{"memory",
                fmt::format("{} free of {}", human_bytes(m.memory_free_bytes), human_bytes(m.memory_bytes)),
                Health::kGood, ""};
  if (m.memory_free_bytes < kMemoryNeeded) {
    found.health = Health::kBroken;
    found.advice =
        fmt::format("even the default model wants {}; end other programs or raise the container's limit",
                    human_bytes(kMemoryNeeded));
  } else if (m.memory_free_bytes < kMemoryGood) {
    found.health = Health::kSlow;
    found.advice = "enough for the default model only; 'deepwell fit MODEL' tells what another one needs";
  }
  return found;
}

Finding huge_pages(const Machine& m) {
  Finding found{"huge_pages", m.huge_pages.empty() ? "unknown" : m.huge_pages, Health::kGood, ""};
  if (m.huge_pages == "never") {
    found.health = Health::kSlow;
    found.advice =
        "large models run faster with them; as root: echo madvise > "
        "/sys/kernel/mm/transparent_hugepage/enabled";
  }
  return found;
}

Finding store(const Machine& m) {
  Finding found{"store", m.store, Health::kGood, ""};
  if (!m.store_free_bytes) {
    found.health = Health::kBroken;
    found.advice = "the folder cannot be reached; check its path and permissions";
    return found;
  }
  found.value += fmt::format(", {} free", human_bytes(*m.store_free_bytes));
  if (*m.store_free_bytes < kDiskNeeded) {
    found.health = m.default_model ? Health::kSlow : Health::kBroken;
    found.advice = "the disk is full; 'deepwell list' and 'deepwell rm NAME' make room";
  } else if (*m.store_free_bytes < kDiskGood) {
    found.health = Health::kSlow;
    found.advice = "room for small models only; 'deepwell rm NAME' makes more";
  }
  return found;
}

Finding default_model(const Machine& m) {
  if (m.default_model) return {"default_model", "present", Health::kGood, ""};
  return {"default_model", "absent", Health::kSlow, "fetch it with 'deepwell pull default'"};
}

Finding port(const Machine& m) {
  if (m.port_error.empty()) return {"port", fmt::format("{} is free", m.port), Health::kGood, ""};
  return {"port", fmt::format("{}: {}", m.port, m.port_error), Health::kSlow,
          "if that is not your own 'deepwell serve', serve on another one with --port"};
}

}  // namespace

std::string_view health_name(Health health) {
  switch (health) {
    case Health::kGood:
      return "ok";
    case Health::kSlow:
      return "warning";
    case Health::kBroken:
      return "problem";
  }
  return "problem";
}

std::vector<Finding> diagnose(const Machine& m) {
  return {cpu(m), threads(m), memory(m), huge_pages(m), store(m), default_model(m), port(m)};
}

Health worst(const std::vector<Finding>& findings) {
  Health health = Health::kGood;
  for (const Finding& finding : findings) health = std::max(health, finding.health);
  return health;
}

std::string findings_table(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    text +=
        fmt::format("{:<8} {:<14} {}\n", health_name(finding.health), finding.name, printable(finding.value));
    if (!finding.advice.empty()) text += fmt::format("{:<8} {:<14} -> {}\n", "", "", finding.advice);
  }
  return text;
}

std::string findings_json(const std::vector<Finding>& findings) {
  nlohmann::json checks = nlohmann::json::array();
  for (const Finding& finding : findings)
    checks.push_back({{"name", finding.name},
                      {"status", health_name(finding.health)},
                      {"value", finding.value},
                      {"advice", finding.advice}});
  const nlohmann::json all = {{"status", health_name(worst(findings))}, {"checks", std::move(checks)}};
  // A path may hold any bytes; JSON holds characters.
  return all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace deepwell
