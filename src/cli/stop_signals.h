// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace deepwell {

/// From now on Ctrl-C and SIGTERM ask long work to stop in good order; a second one ends the program at once.
/// A file that may not grow further is an error of the write, like a full disk, and no signal.
void listen_for_stop();
bool stop_asked();

}  // namespace deepwell
