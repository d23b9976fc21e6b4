// SPDX-License-Identifier: Apache-2.0
// Qwen2, Qwen3 and Qwen3 with experts: rope over halves in checkpoints and GGUF alike.
#include <fmt/format.h>

#include "base/human.h"
#include "engine/checkpoint/dense_layer.h"

namespace deepwell {
namespace {

Status translate(Translation& t) {
  const std::string type = t.config.text("model_type").value_or("");
  t.architecture = type == "qwen3_moe" ? "qwen3moe" : type;
  if (t.config.flag("use_sliding_window").value_or(false))
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("{}: use_sliding_window is not supported by this version", printable(t.config.path()))};
  DW_RETURN_IF_ERROR(t.set_common());
  DW_RETURN_IF_ERROR(set_head_dim(t));
  if (type == "qwen3_moe") DW_RETURN_IF_ERROR(set_experts(t));
  DW_RETURN_IF_ERROR(t.add_ends());
  for (std::int64_t i = 0; i < t.layers; ++i) DW_RETURN_IF_ERROR(add_dense_layer(t, i, /*interleave=*/false));
  return Done{};
}

}  // namespace

CheckpointFamily checkpoint_families_qwen() { return {{"qwen2", "qwen3", "qwen3_moe"}, translate}; }

}  // namespace deepwell
