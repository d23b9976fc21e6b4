// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/serve/settings.h"

namespace deepwell {

/// Serves until SIGTERM or SIGINT, which drains; a second one quits at once. Returns the process' exit code;
/// errors go to stderr, one line. Blocks those signals for the whole process.
int serve(const ServeSettings& settings);

/// Whether `host` is only reachable from this machine.
bool is_loopback(const std::string& host);

}  // namespace deepwell
