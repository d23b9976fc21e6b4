// SPDX-License-Identifier: Apache-2.0
// Qwen3, dense (R1-0528-Qwen3-8B): unlike qwen2, q and k are normed head by head before rope, and there are
// no biases. Source: config.json of Qwen/Qwen3-0.6B. Golden: tests/golden/engine/models/qwen3_*.
#include "engine/models/shared/dense.h"

namespace deepwell {
Architecture architecture_qwen3() {
  return {"qwen3", [](Loader& loader) { return DenseModel::load(loader, RopeLayout::kHalves); },
          DenseModel::layout};
}
}  // namespace deepwell
