// SPDX-License-Identifier: Apache-2.0
// Qwen3 with experts: softmax over all, the best renormalized to 1. Golden:
// tests/golden/engine/models/qwen3moe_*.
#include "engine/models/shared/dense.h"

namespace deepwell {
Architecture architecture_qwen3moe() {
  return {"qwen3moe",
          [](Loader& loader) {
            Router router;
            router.normalize = true;
            return DenseModel::load(loader, RopeLayout::kHalves, router);
          },
          DenseModel::layout};
}
}  // namespace deepwell
