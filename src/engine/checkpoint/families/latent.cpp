// SPDX-License-Identifier: Apache-2.0
// DeepSeek V2, V3 (R1, V3.1) and V3.2: latent attention, experts; behind the last layer one that drafts,
// where the checkpoint has it.
#include <fmt/format.h>

#include "base/human.h"
#include "engine/checkpoint/dense_layer.h"
#include "engine/checkpoint/row_sources.h"

namespace deepwell {
namespace {

constexpr std::int64_t kMostWidth = 1 << 20;

struct Sizes {
  std::int64_t latent, nope, rope, value;
};

Result<Sizes> set_sizes(Translation& t) {
  Sizes s{};
  DW_TRY(s.latent, t.config.integer("kv_lora_rank", 1, kMostWidth));
  DW_TRY(s.nope, t.config.integer("qk_nope_head_dim", 1, kMostWidth));
  DW_TRY(s.rope, t.config.integer("qk_rope_head_dim", 2, kMostWidth));
  DW_TRY(s.value, t.config.integer("v_head_dim", 1, kMostWidth));
  t.set("attention.head_count_kv", std::int64_t{1});  // of latents
  t.set("attention.kv_lora_rank", s.latent);
  if (const auto rank = t.config.integer("q_lora_rank")) t.set("attention.q_lora_rank", *rank);
  t.set("attention.key_length", s.latent + s.rope);
  t.set("attention.value_length", s.latent);
  t.set("attention.key_length_mla", s.nope + s.rope);
  t.set("attention.value_length_mla", s.value);
  return s;
}

Status set_indexer(Translation& t) {
  DW_RETURN_IF_ERROR(t.set_integer("attention.indexer.head_count", "index_n_heads", kMostWidth));
  DW_RETURN_IF_ERROR(t.set_integer("attention.indexer.key_length", "index_head_dim", kMostWidth));
  return t.set_integer("attention.indexer.top_k", "index_topk", kMostWidth);
}

/// kv_b (heads * (nope + value), latent) as k_b (latent, nope) and v_b (value, latent) for each head.
Status add_kv_b(Translation& t, const Sizes& s, const std::string& stem, const std::string& block) {
  DW_TRY(const FileTensor whole, t.weights.matrix(stem));
  const std::int64_t head = s.nope + s.value;
  if (whole.rows() != t.heads * head || whole.row_length() != s.latent)
    return Error{
        ErrorCode::kCorrupt,
        fmt::format("{}: tensor '{}.weight' is {} x {}, but the configuration asks for {} x {}; fetch the "
                    "directory again",
                    printable(t.config.path()), stem, whole.rows(), whole.row_length(), t.heads * head,
                    s.latent)};
  t.tensors.push_back(made::named(made::transpose(whole, t.heads, head, 0, s.latent, s.nope),
                                  block + "attn_k_b.weight", t.heads));
  const auto value_row = [s, head](std::int64_t row) {
    return row / s.value * head + s.nope + row % s.value;
  };
  t.tensors.push_back(
      made::named(made::rows_of(whole, t.heads * s.value, value_row), block + "attn_v_b.weight", t.heads));
  return Done{};
}

Status add_layer(Translation& t, const Sizes& s, std::int64_t index) {
  const std::string prefix = fmt::format("model.layers.{}.", index), block = fmt::format("blk.{}.", index);
  const std::string attention = prefix + "self_attn.";
  DW_RETURN_IF_ERROR(t.add(prefix + "input_layernorm", block + "attn_norm"));
  if (t.weights.has(attention + "q_a_proj")) {
    DW_RETURN_IF_ERROR(t.add(attention + "q_a_proj", block + "attn_q_a"));
    DW_RETURN_IF_ERROR(t.add(attention + "q_a_layernorm", block + "attn_q_a_norm"));
    DW_RETURN_IF_ERROR(t.add(attention + "q_b_proj", block + "attn_q_b"));
  } else {
    DW_RETURN_IF_ERROR(t.add(attention + "q_proj", block + "attn_q"));
  }
  DW_RETURN_IF_ERROR(t.add(attention + "kv_a_proj_with_mqa", block + "attn_kv_a_mqa"));
  DW_RETURN_IF_ERROR(t.add(attention + "kv_a_layernorm", block + "attn_kv_a_norm"));
  DW_RETURN_IF_ERROR(add_kv_b(t, s, attention + "kv_b_proj", block));
  DW_RETURN_IF_ERROR(t.add(attention + "o_proj", block + "attn_output"));
  if (t.architecture == "deepseek32" && index < t.layers) {
    DW_RETURN_IF_ERROR(t.add(attention + "indexer.wq_b", block + "indexer.attn_q_b"));
    DW_RETURN_IF_ERROR(t.add(attention + "indexer.wk", block + "indexer.attn_k"));
    DW_RETURN_IF_ERROR(t.add(attention + "indexer.weights_proj", block + "indexer.proj"));
    DW_RETURN_IF_ERROR(t.add(attention + "indexer.k_norm", block + "indexer.k_norm"));
  }
  DW_RETURN_IF_ERROR(t.add(prefix + "post_attention_layernorm", block + "ffn_norm"));
  return add_feed_forward(t, prefix + "mlp.", block);
}

/// The layer that drafts; what it has in common with the model is stored with it once more, and left out.
Status add_drafting_layer(Translation& t, const Sizes& s) {
  const std::string prefix = fmt::format("model.layers.{}.", t.layers),
                    block = fmt::format("blk.{}.", t.layers);
  if (!t.weights.has(prefix + "eh_proj") || !t.weights.has(prefix + "self_attn.o_proj")) return Done{};
  DW_RETURN_IF_ERROR(add_layer(t, s, t.layers));
  for (const char* part : {"eh_proj", "enorm", "hnorm"})
    DW_RETURN_IF_ERROR(t.add(prefix + part, block + "nextn." + part));
  DW_RETURN_IF_ERROR(t.add_if_there(prefix + "shared_head.norm", block + "nextn.shared_head_norm"));
  t.set_drafting_layer();
  return Done{};
}

Status translate(Translation& t) {
  const std::string type = t.config.text("model_type").value_or("");
  t.architecture = type == "deepseek_v32" ? "deepseek32" : "deepseek2";
  DW_RETURN_IF_ERROR(t.set_common());
  DW_TRY(const Sizes sizes, set_sizes(t));
  DW_RETURN_IF_ERROR(set_rope_scaling(t, sizes.rope, /*latent=*/true));
  DW_RETURN_IF_ERROR(set_experts(t));
  if (t.architecture == "deepseek32") DW_RETURN_IF_ERROR(set_indexer(t));
  DW_RETURN_IF_ERROR(t.add_ends());
  for (std::int64_t i = 0; i < t.layers; ++i) DW_RETURN_IF_ERROR(add_layer(t, sizes, i));
  return add_drafting_layer(t, sizes);
}

}  // namespace

CheckpointFamily checkpoint_families_latent() {
  return {{"deepseek_v2", "deepseek_v3", "deepseek_v32"}, translate};
}

}  // namespace deepwell
