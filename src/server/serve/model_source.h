// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "server/model/model_pool.h"
#include "server/serve/settings.h"

namespace deepwell {

/// The models on this machine, loaded as the settings say.
ModelSource models_here(const ServeSettings& settings);

/// What clients call a model: the name it was asked for by, or its file's without ending and part number.
std::string id_for(const std::string& name, const std::string& path);

}  // namespace deepwell
