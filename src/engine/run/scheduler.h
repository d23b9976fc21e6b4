// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/run/engine.h"
#include "engine/run/runner.h"

namespace deepwell {

/// An engine over a runner: one thread steps through batches of decode rows and prompt chunks. First come,
/// first served; a request is admitted when the cache has pages for all it may ever need, so what was
/// admitted is never put off again.
std::unique_ptr<Engine> make_scheduler(std::unique_ptr<Runner> runner, EngineOptions options, EngineInfo info,
                                       Engine::EndToken ends_generation);

}  // namespace deepwell
