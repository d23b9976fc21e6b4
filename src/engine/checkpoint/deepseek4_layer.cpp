// SPDX-License-Identifier: Apache-2.0
#include "engine/checkpoint/deepseek4_layer.h"

#include "engine/checkpoint/row_sources.h"

namespace deepwell {
namespace {

constexpr std::int64_t kMostTokens = 1 << 30;

struct Name {
  const char *from, *also, *to;  // `also`: another name for the same, or null
};
constexpr Name kMatrices[] = {
    {"attn_norm", nullptr, "attn_norm"},
    {"ffn_norm", nullptr, "ffn_norm"},
    {"attn.wq_a", nullptr, "attn_q_a"},
    {"attn.q_norm", nullptr, "attn_q_a_norm"},
    {"attn.wq_b", nullptr, "attn_q_b"},
    {"attn.wkv", nullptr, "attn_kv"},
    {"attn.kv_norm", "attn.norm", "attn_kv_a_norm"},
    {"attn.wo_a", nullptr, "attn_output_a"},
    {"attn.wo_b", nullptr, "attn_output_b"},
    {"ffn.shared_experts.w1", nullptr, "ffn_gate_shexp"},
    {"ffn.shared_experts.w3", nullptr, "ffn_up_shexp"},
    {"ffn.shared_experts.w2", nullptr, "ffn_down_shexp"},
};
constexpr Name kCompressor[] = {
    {"attn.compressor.wkv", nullptr, "attn_compressor_kv"},
    {"attn.compressor.wgate", nullptr, "attn_compressor_gate"},
    {"attn.compressor.norm", nullptr, "attn_compressor_norm"},
    {"attn.indexer.wq_b", nullptr, "indexer.attn_q_b"},
    {"attn.indexer.weights_proj", nullptr, "indexer.proj"},
    {"attn.indexer.wk", nullptr, "indexer.attn_k"},
    {"attn.indexer.k_norm", nullptr, "indexer.k_norm"},
    {"attn.indexer.compressor.wkv", nullptr, "indexer_compressor_kv"},
    {"attn.indexer.compressor.wgate", nullptr, "indexer_compressor_gate"},
    {"attn.indexer.compressor.norm", nullptr, "indexer_compressor_norm"},
};
constexpr Name kTables[] = {
    {"attn.attn_sink", nullptr, "attn_sinks"},
    {"attn.compressor.ape", nullptr, "attn_compressor_ape"},
    {"attn.indexer.compressor.ape", nullptr, "indexer_compressor_ape"},
    {"hc_attn_fn", nullptr, "hc_attn_fn"},
    {"hc_attn_base", nullptr, "hc_attn_base"},
    {"hc_attn_scale", nullptr, "hc_attn_scale"},
    {"hc_ffn_fn", nullptr, "hc_ffn_fn"},
    {"hc_ffn_base", nullptr, "hc_ffn_base"},
    {"hc_ffn_scale", nullptr, "hc_ffn_scale"},
};

}  // namespace

void set_deepseek4_rope(Translation& t) {
  const ConfigJson nested = t.config.child("rope_parameters");
  const ConfigJson scaling =
      t.config.has("rope_parameters") ? nested.child("compress") : t.config.child("rope_scaling");
  const double base =
      nested.child("main").number("rope_theta").value_or(t.config.number("rope_theta").value_or(10000));
  t.set("rope.freq_base", base);
  t.set("attention.compress_rope_freq_base",
        t.config.number("compress_rope_theta").value_or(scaling.number("rope_theta").value_or(160000)));
  if (scaling.text("rope_type").value_or(scaling.text("type").value_or("")) != "yarn") return;
  t.set("rope.scaling.type", std::string("yarn"));
  t.set("rope.scaling.factor", scaling.number("factor").value_or(1));
  t.set("rope.scaling.original_context_length",
        scaling.integer("original_max_position_embeddings").value_or(65536));
  t.set("rope.scaling.yarn_beta_fast", scaling.number("beta_fast").value_or(32));
  t.set("rope.scaling.yarn_beta_slow", scaling.number("beta_slow").value_or(1));
}

Status set_deepseek4_sizes(Translation& t) {
  const struct {
    const char *to, *from;
  } kSizes[] = {{"attention.key_length", "head_dim"},
                {"attention.value_length", "head_dim"},
                {"rope.dimension_count", "qk_rope_head_dim"},
                {"attention.q_lora_rank", "q_lora_rank"},
                {"attention.sliding_window", "sliding_window"},
                {"attention.output_group_count", "o_groups"},
                {"attention.output_lora_rank", "o_lora_rank"},
                {"attention.indexer.head_count", "index_n_heads"},
                {"attention.indexer.key_length", "index_head_dim"},
                {"attention.indexer.top_k", "index_topk"},
                {"hyper_connection.count", "hc_mult"},
                {"hyper_connection.sinkhorn_iterations", "hc_sinkhorn_iters"}};
  for (const auto& size : kSizes) DW_RETURN_IF_ERROR(t.set_integer(size.to, size.from, kMostTokens));
  t.set("attention.head_count_kv", std::int64_t{1});
  t.set("hyper_connection.epsilon", t.config.number("hc_eps").value_or(1e-6));
  if (const auto limit = t.config.number("swiglu_limit")) {
    t.set("swiglu_clamp_exp", *limit);
    t.set("swiglu_clamp_shexp", *limit);
  }
  return Done{};
}

Status add_deepseek4_layer(Translation& t, const std::string& prefix, const std::string& block) {
  for (const Name& name : kMatrices) {
    const bool other = name.also != nullptr && t.weights.has(prefix + name.also);
    DW_RETURN_IF_ERROR(t.add(prefix + (other ? name.also : name.from), block + name.to));
  }
  for (const Name& name : kCompressor)
    DW_RETURN_IF_ERROR(t.add_if_there(prefix + name.from, block + name.to));
  for (const Name& name : kTables)
    if (t.weights.has_tensor(prefix + name.from))
      DW_RETURN_IF_ERROR(t.add_table(prefix + name.from, block + name.to + ".weight"));
  const std::string gate = prefix + "ffn.gate";
  DW_TRY(FileTensor router, t.weights.matrix(gate));
  t.tensors.push_back(made::named(std::move(router), block + "ffn_gate_inp.weight"));
  for (const auto& [from, to] : {std::pair(".bias", "exp_probs_b.bias"), {".bias_vl", "exp_probs_b_vl.bias"}})
    if (t.weights.has_tensor(gate + from)) DW_RETURN_IF_ERROR(t.add_table(gate + from, block + to));
  if (t.weights.has_tensor(gate + ".tid2eid")) {
    DW_TRY(const FileTensor experts, t.weights.tensor(gate + ".tid2eid"));
    t.tensors.push_back(made::named(made::narrow(experts), block + "ffn_gate_tid2eid.weight"));
  }
  DW_TRY(const std::int64_t count, t.config.integer("n_routed_experts", 1, 1024));
  return t.add_experts(prefix + "ffn.", block, count, {"w1", "w3", "w2"});
}

}  // namespace deepwell
