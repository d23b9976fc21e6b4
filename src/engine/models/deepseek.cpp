// SPDX-License-Identifier: Apache-2.0
// DeepSeek-MoE-16B: llama's attention; after the first layer 64 experts, 6 by softmax without renormalizing,
// and two shared ones. Golden: tests/golden/engine/models/deepseek_*.
#include "engine/models/shared/dense.h"

namespace deepwell {
Architecture architecture_deepseek() {
  return {"deepseek", [](Loader& loader) { return DenseModel::load(loader, RopeLayout::kPairs); },
          DenseModel::layout};
}
}  // namespace deepwell
