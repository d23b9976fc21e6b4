// SPDX-License-Identifier: Apache-2.0
// Qwen2, the shape of R1-Distill-Qwen: like llama with biases on q, k and v (any linear layer takes one when
// its file has it), and rope over the two halves of a head. Golden: tests/golden/engine/models/qwen2_*.
#include "engine/models/shared/dense.h"

namespace deepwell {
Architecture architecture_qwen2() {
  return {"qwen2", [](Loader& loader) { return DenseModel::load(loader, RopeLayout::kHalves); },
          DenseModel::layout};
}
}  // namespace deepwell
