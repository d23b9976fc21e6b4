// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/checkpoint/translation.h"

namespace deepwell {

/// Sizes of attention, indexer, streams and clamps, and both ropes, as V4 and V4.1 have them.
Status set_deepseek4_sizes(Translation& translation);
void set_deepseek4_rope(Translation& translation);
/// A layer, whichever of its parts the checkpoint has under `prefix`.
Status add_deepseek4_layer(Translation& translation, const std::string& prefix, const std::string& block);

}  // namespace deepwell
