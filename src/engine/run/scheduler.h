// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kv/prefix_disk.h"
#include "engine/run/drafter.h"
#include "engine/run/engine.h"
#include "engine/run/forecast.h"
#include "engine/run/runner.h"

namespace deepwell {

/// An engine over a runner: one thread steps through batches of next tokens and pieces of prompts. Whose turn
/// it is says FairQueue. A request starts when the pool has pages for its prompt; when sequences grow beyond
/// the pool, or another has the better claim, the one with the worst is put aside and goes on later from
/// where it was: what was admitted is never lost.
/// `drafter`: nullptr: no guesses. `guess`: of its speed, for estimates before anything was computed.
std::unique_ptr<Engine> make_scheduler(std::unique_ptr<Runner> runner, std::unique_ptr<Drafter> drafter,
                                       EngineOptions options, EngineInfo info,
                                       Engine::EndToken ends_generation, std::unique_ptr<PrefixDisk> disk,
                                       const Forecast::Guess& guess = {});

}  // namespace deepwell
