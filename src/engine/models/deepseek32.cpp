// SPDX-License-Identifier: Apache-2.0
// DeepSeek V3.2: V3 with the lightning indexer, whose rope turns the halves of its first elements, not
// neighbours. Golden: tests/golden/engine/models/v32_*.
#include "engine/models/shared/latent_model.h"

namespace deepwell {
Architecture architecture_deepseek32() {
  return {.name = "deepseek32", .load = load_latent_model, .layout = latent_model_layout, .drafts = true};
}
}  // namespace deepwell
