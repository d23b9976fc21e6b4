// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "base/thread_pool.h"
#include "engine/nn/scratch.h"

namespace deepwell {

/// What every operator of a step computes with.
struct Context {
  ThreadPool& pool;
  Scratch& scratch;
  bool exact = false;                                     ///< activations stay float: no int8, no bfloat16
  const std::function<void()>* between_layers = nullptr;  ///< may compute another batch, with all of this

  /// Between any two layers of a model: nothing is under way but what lies in the scratch memory.
  void pause() const {
    if (between_layers != nullptr && *between_layers) (*between_layers)();
  }
};

}  // namespace deepwell
