// SPDX-License-Identifier: Apache-2.0
// DeepSeek V4, as released and as transformers saves it (which adds "model." and renames a few); behind the
// last layer the first one that drafts (mtp.0), where the checkpoint has it.
#include <fmt/format.h>

#include <algorithm>

#include "base/human.h"
#include "engine/checkpoint/dense_layer.h"
#include "engine/checkpoint/row_sources.h"

namespace deepwell {
namespace {

constexpr std::int64_t kMostWidth = 1 << 20, kMostTokens = 1 << 30;

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

bool has_drafting_layer(const Translation& t) {
  return t.weights.has("mtp.0.e_proj") && t.weights.has("mtp.0.attn.wo_b");
}

/// Tokens to one entry of each layer: a list of numbers, or transformers' list of kinds.
Status set_ratios(Translation& t) {
  const auto list = [&](const char* name) -> nlohmann::json {
    const auto found = t.config.object().find(name);
    return found != t.config.object().end() && found->is_array() ? *found : nlohmann::json::array();
  };
  std::vector<std::int64_t> ratios;
  for (const nlohmann::json& each : list("compress_ratios"))
    if (each.is_number_unsigned() && each.get<std::uint64_t>() <= kMostWidth)
      ratios.push_back(each.get<std::int64_t>());
  const ConfigJson rates = t.config.child("compress_rates");
  if (ratios.empty())
    for (const nlohmann::json& each : list("layer_types"))
      ratios.push_back(each.is_string() ? rates.integer(each.get<std::string>().c_str()).value_or(0) : 0);
  if (static_cast<std::int64_t>(ratios.size()) < t.layers)
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: compress_ratios (or layer_types) has {} entries for {} layers; "
                             "fetch the file again",
                             printable(t.config.path()), ratios.size(), t.layers)};
  ratios.resize(static_cast<std::size_t>(t.layers));
  if (has_drafting_layer(t)) ratios.push_back(0);
  t.set("attention.compress_ratios", std::move(ratios));
  const auto kinds = list("mlp_layer_types");
  const auto hashed = std::ranges::count(kinds, nlohmann::json("hash_moe"));
  t.set("hash_layer_count", t.config.integer("num_hash_layers").value_or(hashed));
  return Done{};
}

void set_rope(Translation& t) {
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

Status set_sizes(Translation& t) {
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

Status add_table(Translation& t, const std::string& from, const std::string& to) {
  DW_TRY(FileTensor table, t.weights.tensor(from));
  t.tensors.push_back(made::named(std::move(table), to));
  return Done{};
}

Status add_layer(Translation& t, const std::string& prefix, const std::string& block) {
  for (const Name& name : kMatrices) {
    const bool other = name.also != nullptr && t.weights.has(prefix + name.also);
    DW_RETURN_IF_ERROR(t.add(prefix + (other ? name.also : name.from), block + name.to));
  }
  for (const Name& name : kCompressor)
    DW_RETURN_IF_ERROR(t.add_if_there(prefix + name.from, block + name.to));
  for (const Name& name : kTables)
    if (t.weights.has_tensor(prefix + name.from))
      DW_RETURN_IF_ERROR(add_table(t, prefix + name.from, block + name.to + ".weight"));
  const std::string gate = prefix + "ffn.gate";
  DW_TRY(FileTensor router, t.weights.matrix(gate));
  t.tensors.push_back(made::named(std::move(router), block + "ffn_gate_inp.weight"));
  if (t.weights.has_tensor(gate + ".bias"))
    DW_RETURN_IF_ERROR(add_table(t, gate + ".bias", block + "exp_probs_b.bias"));
  if (t.weights.has_tensor(gate + ".tid2eid")) {
    DW_TRY(const FileTensor experts, t.weights.tensor(gate + ".tid2eid"));
    t.tensors.push_back(made::named(made::narrow(experts), block + "ffn_gate_tid2eid.weight"));
  }
  DW_TRY(const std::int64_t count, t.config.integer("n_routed_experts", 1, 1024));
  return t.add_experts(prefix + "ffn.", block, count, {"w1", "w3", "w2"});
}

/// The layer that drafts; what it has in common with the model is stored with it once more, and left out.
Status add_drafting_layer(Translation& t) {
  const std::string prefix = "mtp.0.", block = fmt::format("blk.{}.", t.layers), own = block + "nextn.";
  DW_RETURN_IF_ERROR(add_layer(t, prefix, block));
  DW_TRY(const FileTensor token, t.weights.matrix(prefix + "e_proj"));
  DW_TRY(const FileTensor state, t.weights.matrix(prefix + "h_proj"));
  if (token.type != state.type || token.shape != state.shape)
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: tensors 'mtp.0.e_proj.weight' and 'mtp.0.h_proj.weight' differ in type or "
                             "shape; fetch the directory again",
                             printable(t.config.path()))};
  t.tensors.push_back(made::named(made::beside(token, state), own + "eh_proj.weight"));
  DW_RETURN_IF_ERROR(t.add(prefix + "enorm", own + "enorm"));
  DW_RETURN_IF_ERROR(t.add(prefix + "hnorm", own + "hnorm"));
  DW_RETURN_IF_ERROR(t.add(prefix + "norm", own + "shared_head_norm"));
  for (const char* part : {"fn", "base", "scale"})
    DW_RETURN_IF_ERROR(
        add_table(t, prefix + "hc_head_" + part, fmt::format("{}output_hc_{}.weight", own, part)));
  t.set_drafting_layer();
  return Done{};
}

Status translate(Translation& t) {
  t.architecture = "deepseek4";
  DW_RETURN_IF_ERROR(t.set_common());
  DW_RETURN_IF_ERROR(set_sizes(t));
  DW_RETURN_IF_ERROR(set_ratios(t));
  set_rope(t);
  DW_RETURN_IF_ERROR(set_experts(t));
  const bool saved = t.weights.has("model.embed_tokens");  // by transformers
  const std::string model = saved ? "model." : "";
  DW_RETURN_IF_ERROR(t.add(saved ? "model.embed_tokens" : "embed", "token_embd"));
  DW_RETURN_IF_ERROR(t.add(model + "norm", "output_norm"));
  DW_RETURN_IF_ERROR(t.add(t.weights.has("lm_head") ? "lm_head" : "head", "output"));
  for (const char* part : {"fn", "base", "scale"})
    DW_RETURN_IF_ERROR(add_table(t, (saved ? "model.hc_head.hc_" : "hc_head_") + std::string(part),
                                 fmt::format("output_hc_{}.weight", part)));
  for (std::int64_t i = 0; i < t.layers; ++i)
    DW_RETURN_IF_ERROR(add_layer(t, fmt::format("{}layers.{}.", model, i), fmt::format("blk.{}.", i)));
  return has_drafting_layer(t) ? add_drafting_layer(t) : Status(Done{});
}

}  // namespace

CheckpointFamily checkpoint_families_deepseek4() { return {{"deepseek_v4"}, translate}; }

}  // namespace deepwell
