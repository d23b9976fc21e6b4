// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/thread_pool.h"
#include "engine/nn/scratch.h"

namespace deepwell {

/// What every operator of a step computes with.
struct Context {
  ThreadPool& pool;
  Scratch& scratch;
  bool exact = false;  ///< activations stay float: no int8, no bfloat16
};

}  // namespace deepwell
