// SPDX-License-Identifier: Apache-2.0
// deepwell doctor: is this machine set up well, and what to do where it is not.
#include <iostream>
#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/diagnosis.h"
#include "store/cache.h"
#include "store/store.h"

namespace deepwell {

Command command_commands_doctor() {
  return {[](CLI::App& app) -> std::function<int()> {
    struct Flags {
      int port = 8321;
      bool json = false;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* sub =
        app.add_subcommand("doctor", "Check this machine and say what to do where it is not set up well");
    sub->add_option("--port", flags->port, "The port that should be free")->check(CLI::Range(1, 65535));
    sub->add_flag("--json", flags->json, "One JSON object instead of a table");
    sub->footer(
        "Exit code 1 when something keeps Deepwell from working; what only slows it down is a warning.\n"
        "\n"
        "Examples:\n"
        "  deepwell doctor\n"
        "  deepwell doctor --json | jq -r '.checks[] | select(.status != \"ok\") | .advice'");
    return [flags] {
      const auto hub = cache_hub();
      if (!hub.ok()) {
        std::cerr << "deepwell: " << hub.error().message << '\n';
        return 1;
      }
      const auto findings = diagnose(read_machine(hub->string(), resolve_model("default").ok(), flags->port));
      std::cout << (flags->json ? findings_json(findings) : findings_table(findings)) << std::flush;
      return worst(findings) == Health::kBroken || !std::cout ? 1 : 0;
    };
  }};
}

}  // namespace deepwell
