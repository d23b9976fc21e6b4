// SPDX-License-Identifier: Apache-2.0
// Llama and DeepSeek-MoE-16B. In GGUF the rows of q and k are permuted so that rope turns neighbours.
#include <fmt/format.h>

#include "engine/checkpoint/dense_layer.h"

namespace deepwell {
namespace {

Status translate(Translation& t) {
  const bool routed = t.config.text("model_type") == "deepseek";
  t.architecture = routed ? "deepseek" : "llama";
  DW_RETURN_IF_ERROR(t.set_common());
  DW_RETURN_IF_ERROR(set_head_dim(t));
  if (routed) DW_RETURN_IF_ERROR(set_experts(t));
  DW_RETURN_IF_ERROR(t.add_ends());
  for (std::int64_t i = 0; i < t.layers; ++i) DW_RETURN_IF_ERROR(add_dense_layer(t, i, /*interleave=*/true));
  return Done{};
}

}  // namespace

CheckpointFamily checkpoint_families_llama() { return {{"llama", "deepseek"}, translate}; }

}  // namespace deepwell
