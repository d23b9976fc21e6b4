// SPDX-License-Identifier: Apache-2.0
// Llama, and what shares its shape: DeepSeek-LLM, DeepSeek-Coder V1, R1-Distill-Llama, SmolLM2.
// In GGUF the rows of q and k are permuted so that rope turns neighbouring elements.
// Golden: tests/golden/engine/models/llama_*.
#include "engine/models/shared/dense.h"

namespace deepwell {
Architecture architecture_llama() {
  return {"llama", [](Loader& loader) { return DenseModel::load(loader, RopeLayout::kPairs); },
          DenseModel::layout};
}
}  // namespace deepwell
