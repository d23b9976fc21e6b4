// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/thread_pool.h"

namespace deepwell {

/// What this machine can do at most with the threads of a pool, measured now: int8 multiply-adds (two
/// operations each) with the best instructions the engine uses, and bytes read from memory.
struct MachinePeak {
  double int8_gops = 0, read_gb_per_second = 0;
};
/// Takes about a second and 512 MB for a moment.
MachinePeak measure_peak(ThreadPool& pool);
/// The same at a glance: milliseconds, and no more memory than `bytes`, at most 64 MB. Other work beside it
/// shows.
MachinePeak glance_at_peak(ThreadPool& pool, std::int64_t bytes);

}  // namespace deepwell
