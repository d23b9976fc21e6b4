// SPDX-License-Identifier: Apache-2.0
#include "engine/checkpoint/dense_layer.h"

#include <fmt/format.h>

namespace deepwell {
namespace {

constexpr std::int64_t kMostWidth = 1 << 20, kMostExperts = 1024;

/// Three names for one number: DeepSeek's, Qwen's, and transformers 5's for Qwen.
Result<std::int64_t> expert_count(const Translation& t) {
  for (const char* name : {"num_experts", "num_local_experts"})
    if (t.config.has(name)) return t.config.integer(name, 1, kMostExperts);
  return t.config.integer("n_routed_experts", 1, kMostExperts);
}

}  // namespace

Status set_head_dim(Translation& t) {
  const std::int64_t width = t.config.integer("hidden_size").value_or(0);
  const std::int64_t head_dim = t.config.integer("head_dim").value_or(width / t.heads);
  t.set("attention.key_length", head_dim);
  t.set("attention.value_length", head_dim);
  return set_rope_scaling(t, head_dim);
}

Status set_experts(Translation& t) {
  DW_TRY(const std::int64_t count, expert_count(t));
  t.set("expert_count", count);
  DW_RETURN_IF_ERROR(t.set_integer("expert_used_count", "num_experts_per_tok", kMostExperts));
  DW_RETURN_IF_ERROR(t.set_integer("expert_feed_forward_length", "moe_intermediate_size", kMostWidth));
  if (const auto shared = t.config.integer("n_shared_experts")) t.set("expert_shared_count", *shared);
  if (const auto dense = t.config.integer("first_k_dense_replace"))
    t.set("leading_dense_block_count", *dense);
  if (const auto scale = t.config.number("routed_scaling_factor")) t.set("expert_weights_scale", *scale);
  if (const auto normalize = t.config.flag("norm_topk_prob")) t.set("expert_weights_norm", *normalize);
  // V3 and later have a sigmoid, whether or not the configuration says so.
  const std::string type = t.config.text("model_type").value_or("");
  const bool sigmoid = type == "deepseek_v3" || type == "deepseek_v32";
  const std::string score = t.config.text("scoring_func").value_or(sigmoid ? "sigmoid" : "softmax");
  if (score != "softmax" && score != "sigmoid" && score != "sqrtsoftplus")
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("{}: scoring_func '{}' is not supported by this version", t.config.path(), score)};
  t.set("expert_gating_func", std::int64_t{score == "softmax" ? 1 : score == "sigmoid" ? 2 : 4});
  const std::int64_t groups = t.config.integer("n_group").value_or(1);
  if (groups > 1 && t.config.text("topk_method").value_or("") != "greedy") {
    t.set("expert_group_count", groups);
    t.set("expert_group_used_count", t.config.integer("topk_group").value_or(groups));
  }
  return Done{};
}

Status add_dense_layer(Translation& t, std::int64_t index, bool interleave) {
  const std::string prefix = fmt::format("model.layers.{}.", index), block = fmt::format("blk.{}.", index);
  const std::string attention = prefix + "self_attn.";
  DW_RETURN_IF_ERROR(t.add(prefix + "input_layernorm", block + "attn_norm"));
  if (interleave) {
    const std::int64_t kv_heads = t.config.integer("num_key_value_heads").value_or(t.heads);
    DW_RETURN_IF_ERROR(t.add_interleaved(attention + "q_proj", block + "attn_q", t.heads));
    DW_RETURN_IF_ERROR(t.add_interleaved(attention + "k_proj", block + "attn_k", kv_heads));
  } else {
    DW_RETURN_IF_ERROR(t.add(attention + "q_proj", block + "attn_q"));
    DW_RETURN_IF_ERROR(t.add(attention + "k_proj", block + "attn_k"));
  }
  DW_RETURN_IF_ERROR(t.add_if_there(attention + "q_norm", block + "attn_q_norm"));
  DW_RETURN_IF_ERROR(t.add_if_there(attention + "k_norm", block + "attn_k_norm"));
  DW_RETURN_IF_ERROR(t.add(attention + "v_proj", block + "attn_v"));
  DW_RETURN_IF_ERROR(t.add(attention + "o_proj", block + "attn_output"));
  DW_RETURN_IF_ERROR(t.add(prefix + "post_attention_layernorm", block + "ffn_norm"));
  return add_feed_forward(t, prefix + "mlp.", block);
}

Status add_feed_forward(Translation& t, const std::string& prefix, const std::string& block) {
  const struct {
    const char *from, *to;
  } kParts[] = {{"gate_proj", "gate"}, {"up_proj", "up"}, {"down_proj", "down"}};
  if (!t.weights.has(prefix + "gate")) {
    for (const auto& part : kParts)
      DW_RETURN_IF_ERROR(t.add(prefix + part.from, fmt::format("{}ffn_{}", block, part.to)));
    return Done{};
  }
  DW_RETURN_IF_ERROR(t.add(prefix + "gate", block + "ffn_gate_inp"));
  if (t.weights.has_tensor(prefix + "gate.e_score_correction_bias")) {
    DW_TRY(FileTensor bias, t.weights.tensor(prefix + "gate.e_score_correction_bias"));
    bias.name = block + "exp_probs_b.bias";
    t.tensors.push_back(std::move(bias));
  }
  DW_TRY(const std::int64_t count, expert_count(t));
  DW_RETURN_IF_ERROR(t.add_experts(prefix, block, count));
  for (const auto& part : kParts)
    DW_RETURN_IF_ERROR(t.add_if_there(prefix + "shared_experts." + part.from,
                                      fmt::format("{}ffn_{}_shexp", block, part.to)));
  return Done{};
}

}  // namespace deepwell
