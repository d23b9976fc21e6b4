// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

#include "base/thread_plan.h"

namespace deepwell {

/// --threads-batch and --pin. What they set must outlive the parsing.
void add_thread_flags(CLI::App& app, int& threads_batch, PinThreads& pin);

}  // namespace deepwell
