// SPDX-License-Identifier: Apache-2.0
// DeepSeek V2, V2-Lite, Coder-V2 (softmax router, V2: groups by their best expert) and V3, R1, V3.1 (sigmoid
// router with a bias, groups by their best two): all told apart by metadata. Golden:
// tests/golden/engine/models/v2_*, v3_*.
#include "engine/models/shared/latent_model.h"

namespace deepwell {
Architecture architecture_deepseek2() {
  return {.name = "deepseek2", .load = load_latent_model, .layout = latent_model_layout, .drafts = true};
}
}  // namespace deepwell
