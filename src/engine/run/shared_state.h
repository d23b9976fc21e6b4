// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>

#include "engine/run/fair_queue.h"
#include "engine/run/forecast.h"
#include "engine/run/token_rate.h"

namespace deepwell {

/// What other threads than the engine's read or change, too.
struct SharedState {
  mutable std::mutex mutex;  // guards all below
  FairQueue queue;
  Forecast forecast;
  EngineStats stats;
  TokenRate prompt_rate, generated_rate;
  Clock::time_point beat = Clock::now();  // when the step loop last came by
  bool idle = true;                       // there is no request at all
};

}  // namespace deepwell
