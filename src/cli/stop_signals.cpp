// SPDX-License-Identifier: Apache-2.0
#include "cli/stop_signals.h"

#include <signal.h>

namespace deepwell {
namespace {
volatile sig_atomic_t asked = 0;  // a signal handler can reach nothing else
}

void listen_for_stop() {
  struct sigaction action {};
  action.sa_handler = [](int) { asked = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGXFSZ, SIG_IGN);
}

bool stop_asked() { return asked != 0; }

}  // namespace deepwell
