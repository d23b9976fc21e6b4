// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/cpu.h"
#include "base/topology.h"

namespace deepwell {

/// What running a model here depends on, as found; diagnosis.h judges it.
struct Machine {
  std::string cpu;
  Isa isa = Isa::kScalar, isa_chosen = Isa::kScalar;  ///< the CPU's best, and the one in use (DEEPWELL_ISA)
  bool bf16 = false, vbmi = false;
  Topology topology;
  std::int64_t memory_bytes = 0,
               memory_free_bytes = 0;  ///< within the cgroup's limit; free: without swapping
  std::string huge_pages;  ///< transparent huge pages: "always", "madvise", "never" or "" (unknown)
  std::string store;       ///< the model store's folder
  std::optional<std::int64_t> store_free_bytes;  ///< nothing: the folder cannot be asked
  bool default_model = false;                    ///< it is in the store
  int port = 8321;
  std::string port_error;  ///< why it cannot be listened on, or ""
};

/// Asks the machine. `store` and `default_model` are the store's to know.
Machine read_machine(std::string store, bool default_model, int port);

/// For tests. The word in brackets of "always [madvise] never", or "".
std::string chosen_word(const std::string& line);
/// For tests. The bytes of a line "MemAvailable:   123 kB" of /proc/meminfo's text, or 0.
std::int64_t meminfo_bytes(const std::string& text, const std::string& name);

}  // namespace deepwell
