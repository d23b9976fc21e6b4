// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/models/loader.h"
#include "engine/nn/feed_forward.h"

namespace deepwell {

/// The feed-forward of layer `index` (`block` is "blk.N."): experts where the file has them for the layer,
/// otherwise the MLP. `defaults` holds what an architecture means by keys its files leave out (score,
/// normalize); the file's own keys win.
Result<FeedForward> load_feed_forward(Loader& loader, const std::string& block, std::int64_t index,
                                      std::int64_t width, const Router& defaults);

}  // namespace deepwell
