// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/run/engine.h"

namespace deepwell {

/// Name, architecture, layers, width, parameters and weight types of a file ("Q4_K 71%, Q6_K 28%").
EngineInfo describe_model(const ModelFile& file);
Result<std::int64_t> trained_context(const ModelFile& file);
Result<CacheLayout> cache_layout_of(const ModelFile& file, CacheType type, bool drafting = false);

}  // namespace deepwell
