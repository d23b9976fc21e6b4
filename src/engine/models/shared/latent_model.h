// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/models/loader.h"
#include "engine/models/model.h"

namespace deepwell {

/// The decoder of DeepSeek V2 to V3.2: multi-head latent attention and experts.
/// Unlike llama: keys and values of all heads are made from one cached latent; attention runs on the latents
/// themselves, with the key part of kv_b folded into the query and the value part applied after ("absorbed").
/// Files hold kv_b split (attn_k_b, attn_v_b) or, older ones, whole (attn_kv_b). With an indexer in the file,
/// attention reads only the tokens it selects.
/// Sources: DeepSeek-V2 (2405.04434) sec. 2.1, DeepSeek-V3 (2412.19437) sec. 2.1, DeepSeek-V3.2-Exp report
/// sec. 2.
Result<std::unique_ptr<Model>> load_latent_model(Loader& loader);
Result<CacheLayout> latent_model_layout(const Loader& loader, CacheType type);

}  // namespace deepwell
