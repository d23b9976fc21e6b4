// SPDX-License-Identifier: Apache-2.0
#include "engine/checkpoint/translation.h"

#include <fmt/format.h>

#include "base/human.h"
#include "engine/checkpoint/row_sources.h"

namespace deepwell {
namespace {

// Far above any model: loops over what config.json says end soon.
constexpr std::int64_t kMostLayers = 1024, kMostWidth = 1 << 20, kMostHeads = 4096, kMostTokens = 1 << 30;

Error misfit(const Translation& translation, std::string_view tensor, std::string_view what) {
  return {ErrorCode::kCorrupt,
          fmt::format("{}: tensor '{}' {}; the files belong to different models: fetch the "
                      "directory again",
                      printable(translation.config.path()), printable(tensor), what)};
}

}  // namespace

void Translation::set(std::string_view name, MetadataValue value) {
  metadata.values[fmt::format("{}.{}", architecture, name)] = std::move(value);
}

Status Translation::set_integer(std::string_view name, const char* config_name, std::int64_t highest) {
  DW_TRY(const std::int64_t value, config.integer(config_name, 1, highest));
  set(name, value);
  return Done{};
}

Status Translation::set_common() {
  metadata.values["general.architecture"] = architecture;
  DW_TRY(layers, config.integer("num_hidden_layers", 1, kMostLayers));
  DW_TRY(heads, config.integer("num_attention_heads", 1, kMostHeads));
  set("block_count", layers);
  set("attention.head_count", heads);
  set("attention.head_count_kv", config.integer("num_key_value_heads").value_or(heads));
  DW_RETURN_IF_ERROR(set_integer("embedding_length", "hidden_size", kMostWidth));
  // Models whose layers all have experts say only how wide those are.
  const bool dense = config.has("intermediate_size");
  DW_RETURN_IF_ERROR(
      set_integer("feed_forward_length", dense ? "intermediate_size" : "moe_intermediate_size", kMostWidth));
  DW_RETURN_IF_ERROR(set_integer("context_length", "max_position_embeddings", kMostTokens));
  DW_RETURN_IF_ERROR(set_integer("vocab_size", "vocab_size", kMostTokens));
  set("attention.layer_norm_rms_epsilon", config.number("rms_norm_eps").value_or(1e-6));
  return Done{};
}

void Translation::set_drafting_layer() {
  set("block_count", layers + 1);
  set("nextn_predict_layers", std::int64_t{1});
}

Status Translation::add_ends() {
  DW_RETURN_IF_ERROR(add("model.embed_tokens", "token_embd"));
  DW_RETURN_IF_ERROR(add("model.norm", "output_norm"));
  // Some checkpoints that tie the head to the table save it all the same.
  if (config.flag("tie_word_embeddings").value_or(false)) return Done{};
  return add_if_there("lm_head", "output");
}

Status Translation::add(const std::string& stem, const std::string& name) {
  DW_TRY(FileTensor weight, weights.matrix(stem));
  tensors.push_back(made::named(std::move(weight), name + ".weight"));
  if (weights.has_tensor(stem + ".bias")) {
    DW_TRY(FileTensor bias, weights.tensor(stem + ".bias"));
    tensors.push_back(made::named(std::move(bias), name + ".bias"));
  }
  return Done{};
}

Status Translation::add_if_there(const std::string& stem, const std::string& name) {
  return weights.has(stem) ? add(stem, name) : Status(Done{});
}

Status Translation::add_table(const std::string& from, const std::string& to) {
  DW_TRY(FileTensor table, weights.tensor(from));
  tensors.push_back(made::named(std::move(table), to));
  return Done{};
}

Status Translation::add_interleaved(const std::string& stem, const std::string& name, std::int64_t count) {
  DW_TRY(const FileTensor weight, weights.matrix(stem));
  const std::int64_t rows = weight.rows();
  if (count < 1 || rows % (2 * count) != 0)
    return misfit(*this, stem + ".weight", fmt::format("has {} rows, which are not {} heads", rows, count));
  const std::int64_t size = rows / count;
  const auto from = [size](std::int64_t row) {
    const std::int64_t within = row % size;
    return row - within + within % 2 * (size / 2) + within / 2;
  };
  tensors.push_back(made::named(made::rows_of(weight, rows, from), name + ".weight"));
  if (!weights.has_tensor(stem + ".bias")) return Done{};
  DW_TRY(FileTensor bias, weights.tensor(stem + ".bias"));
  if (bias.rows() != 1 || bias.row_length() != rows)
    return misfit(*this, stem + ".bias", "is not as long as its matrix");
  tensors.push_back(made::named(made::elements_of(bias, from), name + ".bias"));
  return Done{};
}

Status Translation::add_stack(const std::string& prefix, const char* part, const std::string& name,
                              std::int64_t count) {
  std::vector<FileTensor> experts;
  for (std::int64_t e = 0; e < count; ++e) {
    const std::string stem = fmt::format("{}experts.{}.{}", prefix, e, part);
    DW_TRY(FileTensor expert, weights.matrix(stem));
    if (!experts.empty() && (expert.type != experts.front().type || expert.shape != experts.front().shape))
      return misfit(*this, stem + ".weight", "is of another type or shape than the expert before it");
    experts.push_back(std::move(expert));
  }
  tensors.push_back(made::named(made::stack(std::move(experts)), name + ".weight", count));
  return Done{};
}

Status Translation::add_experts(const std::string& prefix, const std::string& block, std::int64_t count,
                                const ExpertNames& names) {
  if (!weights.has_tensor(prefix + "experts.gate_up_proj")) {
    DW_RETURN_IF_ERROR(add_stack(prefix, names.gate, block + "ffn_gate_exps", count));
    DW_RETURN_IF_ERROR(add_stack(prefix, names.up, block + "ffn_up_exps", count));
    return add_stack(prefix, names.down, block + "ffn_down_exps", count);
  }
  // Fused (experts, 2 * ffn, width): an expert's gate rows, then its up rows.
  DW_TRY(const FileTensor both, weights.tensor(prefix + "experts.gate_up_proj"));
  DW_TRY(FileTensor down, weights.tensor(prefix + "experts.down_proj"));
  if (both.shape[2] != count || both.shape[1] % 2 != 0 || down.shape[2] != count)
    return misfit(*this, prefix + "experts.gate_up_proj",
                  fmt::format("or down_proj is not for {} experts", count));
  const std::int64_t ffn = both.shape[1] / 2;
  for (const std::int64_t first : {std::int64_t{0}, ffn}) {
    const auto from = [ffn, first](std::int64_t row) { return row / ffn * 2 * ffn + first + row % ffn; };
    tensors.push_back(made::named(made::rows_of(both, count * ffn, from),
                                  block + (first == 0 ? "ffn_gate_exps.weight" : "ffn_up_exps.weight"),
                                  count));
  }
  tensors.push_back(made::named(std::move(down), block + "ffn_down_exps.weight", count));
  return Done{};
}

}  // namespace deepwell
