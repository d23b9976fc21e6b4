// SPDX-License-Identifier: Apache-2.0
// DeepSeek V4, as released and as transformers saves it (which adds "model." and renames a few); behind the
// last layer the first one that drafts (mtp.0), where the checkpoint has it.
#include <fmt/format.h>

#include <algorithm>

#include "base/human.h"
#include "engine/checkpoint/deepseek4_layer.h"
#include "engine/checkpoint/dense_layer.h"
#include "engine/checkpoint/row_sources.h"

namespace deepwell {
namespace {

constexpr std::int64_t kMostWidth = 1 << 20;

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

/// The layer that drafts; what it has in common with the model is stored with it once more, and left out.
Status add_drafting_layer(Translation& t) {
  const std::string prefix = "mtp.0.", block = fmt::format("blk.{}.", t.layers), own = block + "nextn.";
  DW_RETURN_IF_ERROR(add_deepseek4_layer(t, prefix, block));
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
        t.add_table(prefix + "hc_head_" + part, fmt::format("{}output_hc_{}.weight", own, part)));
  t.set_drafting_layer();
  return Done{};
}

Status translate(Translation& t) {
  t.architecture = "deepseek4";
  DW_RETURN_IF_ERROR(t.set_common());
  DW_RETURN_IF_ERROR(set_deepseek4_sizes(t));
  DW_RETURN_IF_ERROR(set_ratios(t));
  set_deepseek4_rope(t);
  DW_RETURN_IF_ERROR(set_experts(t));
  const bool saved = t.weights.has("model.embed_tokens");  // by transformers
  const std::string model = saved ? "model." : "";
  DW_RETURN_IF_ERROR(t.add(saved ? "model.embed_tokens" : "embed", "token_embd"));
  DW_RETURN_IF_ERROR(t.add(model + "norm", "output_norm"));
  DW_RETURN_IF_ERROR(t.add(t.weights.has("lm_head") ? "lm_head" : "head", "output"));
  for (const char* part : {"fn", "base", "scale"})
    DW_RETURN_IF_ERROR(t.add_table((saved ? "model.hc_head.hc_" : "hc_head_") + std::string(part),
                                   fmt::format("output_hc_{}.weight", part)));
  for (std::int64_t i = 0; i < t.layers; ++i)
    DW_RETURN_IF_ERROR(
        add_deepseek4_layer(t, fmt::format("{}layers.{}.", model, i), fmt::format("blk.{}.", i)));
  return has_drafting_layer(t) ? add_drafting_layer(t) : Status(Done{});
}

}  // namespace

CheckpointFamily checkpoint_families_deepseek4() { return {{"deepseek_v4"}, translate}; }

}  // namespace deepwell
