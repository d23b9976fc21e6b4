// SPDX-License-Identifier: Apache-2.0
#include "cli/thread_flags.h"

#include <string>
#include <vector>

namespace deepwell {

void add_thread_flags(CLI::App& app, int& threads_batch, PinThreads& pin) {
  app.add_option("--threads-batch", threads_batch, "Threads where prompts are read; 0: as many")
      ->check(CLI::Range(0, 1024));
  app.add_option_function<std::string>(
         "--pin", [&pin](const std::string& name) { pin = *parse_pin_threads(name); },
         "Keep each thread on a core of its own, and slices of the weights on each NUMA node that has some; "
         "auto: on machines with several nodes")
      ->check(CLI::IsMember(std::vector<std::string>(kPinThreadsNames.begin(), kPinThreadsNames.end())))
      ->default_str("auto");
}

}  // namespace deepwell
