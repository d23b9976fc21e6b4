// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/run/engine.h"

namespace deepwell {

/// Name, architecture, layers, width, parameters and weight types of a file ("Q4_K 71%, Q6_K 28%").
EngineInfo describe_model(const ModelFile& file);
Result<std::int64_t> trained_context(const ModelFile& file);
Result<CacheLayout> cache_layout_of(const ModelFile& file, CacheType type, bool drafting = false);

/// Bytes of weights that are loaded: experts that can be read one by one, and all others.
struct WeightSizes {
  std::int64_t experts = 0, others = 0;
};
WeightSizes weight_sizes_of(const ModelFile& file, bool drafting);

/// What of `memory` is left for experts when a model does not fit beside `cache_bytes` of keys and values; 0
/// when it fits, when there are no experts, or when `memory` is 0 (unknown).
std::int64_t expert_cache_for(const WeightSizes& weights, std::int64_t cache_bytes, std::int64_t memory);

}  // namespace deepwell
