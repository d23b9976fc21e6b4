// SPDX-License-Identifier: Apache-2.0
// deepwell rm: removes models from the store.
#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "base/human.h"
#include "cli/command.h"
#include "store/store.h"

namespace deepwell {
namespace {

int remove_all(const std::vector<std::string>& names) {
  int failed = 0;
  for (const std::string& name : names) {
    const auto removed = remove_model(name);
    if (removed.ok())
      std::cout << fmt::format("removed {}, {} freed\n", printable(removed->name),
                               human_bytes(removed->bytes_freed));
    else
      std::cerr << "deepwell: " << removed.error().message << '\n';
    failed |= removed.ok() ? 0 : 1;
  }
  std::cout << std::flush;
  return failed;
}

}  // namespace

Command command_commands_rm() {
  return {[](CLI::App& app) -> std::function<int()> {
    auto names = std::make_shared<std::vector<std::string>>();
    CLI::App* sub = app.add_subcommand("rm", "Remove models from the store");
    sub->add_option("NAME", *names, "As 'deepwell list' shows it, or shortened while only one fits")
        ->required();
    sub->footer(
        "Examples:\n"
        "  deepwell rm default\n"
        "  deepwell rm hf.co/bartowski/SmolLM2-1.7B-Instruct-GGUF:Q4_K_M");
    return [names] { return remove_all(*names); };
  }};
}

}  // namespace deepwell
