// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "engine/checkpoint/translation.h"

namespace deepwell {

/// Sizes of heads and rope of plain attention.
Status set_head_dim(Translation& translation);
/// How many experts there are, and how tokens go to them.
Status set_experts(Translation& translation);
/// A layer of plain attention and feed-forward.
Status add_dense_layer(Translation& translation, std::int64_t index, bool interleave);
/// A dense feed-forward, or a router with its experts, whichever the checkpoint has under `prefix`.
Status add_feed_forward(Translation& translation, const std::string& prefix, const std::string& block);

}  // namespace deepwell
