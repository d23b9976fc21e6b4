// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/model/model_pool.h"
#include "server/serve/settings.h"

namespace deepwell {

/// The models on this machine, loaded as the settings say.
ModelSource models_here(const ServeSettings& settings);

}  // namespace deepwell
