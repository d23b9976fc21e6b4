// SPDX-License-Identifier: Apache-2.0
// DeepSeek V4.1, as released: V4's layers, of which few make entries and keys for the others, and tables of
// memory (Engram). What draws pictures in and what drafts (DSpark) is left out.
#include <fmt/format.h>

#include <algorithm>

#include "base/human.h"
#include "engine/checkpoint/deepseek4_layer.h"
#include "engine/checkpoint/dense_layer.h"
#include "engine/checkpoint/engram_hash.h"

namespace deepwell {
namespace {

constexpr std::int64_t kMostTokens = 1 << 30, kMostRun = 16, kMostHeads = 256, kMostRows = 1 << 30;

Error wrong(const Translation& t, std::string_view what) {
  return {ErrorCode::kCorrupt,
          fmt::format("{}: {}; fetch the directory again", printable(t.config.path()), what)};
}

/// A list of whole numbers, each of `most` at most; absent: empty.
Result<std::vector<std::int64_t>> list_of(const Translation& t, const char* name, std::int64_t most) {
  std::vector<std::int64_t> values;
  const auto found = t.config.object().find(name);
  if (found == t.config.object().end() || found->is_null()) return values;
  if (!found->is_array()) return wrong(t, fmt::format("{} is no list", name));
  for (const nlohmann::json& each : *found) {
    if (!each.is_number_unsigned() || each.get<std::uint64_t>() > static_cast<std::uint64_t>(most))
      return wrong(t, fmt::format("{} holds what is no number of {} at most", name, most));
    values.push_back(each.get<std::int64_t>());
  }
  return values;
}

/// Which layers compress and select for which others.
Status set_sources(Translation& t) {
  DW_TRY(std::vector<std::int64_t> ratios, list_of(t, "compress_ratios", kMostTokens));
  if (std::ssize(ratios) < t.layers)
    return wrong(t, fmt::format("compress_ratios has {} entries for {} layers", ratios.size(), t.layers));
  ratios.resize(static_cast<std::size_t>(t.layers));
  t.set("attention.compress_ratios", std::move(ratios));
  for (const char* name : {"kv_source_layer_ids", "index_source_layer_ids"}) {
    DW_TRY(std::vector<std::int64_t> layers, list_of(t, name, kMostTokens));
    // A checkpoint cut short keeps the list of the whole.
    std::erase_if(layers, [&](std::int64_t layer) { return layer >= t.layers; });
    if (!layers.empty()) t.set(fmt::format("attention.{}", name), std::move(layers));
  }
  const auto candidates = t.config.integer("candidate_source_layer_id");
  if (!candidates) return Done{};
  t.set("attention.candidate_source_layer_id", *candidates);
  if (*candidates < 0) return Done{};
  DW_RETURN_IF_ERROR(t.set_integer("attention.candidate_topk_blocks", "candidate_topk_blocks", kMostTokens));
  return t.set_integer("attention.candidate_block_size", "candidate_block_size", kMostTokens);
}

/// The numbers of tokens as the hashes see them: the caller made them of the vocabulary, or each token has
/// its own. Empty: there is no vocabulary to tell.
Result<std::vector<std::int64_t>> token_numbers(const Translation& t, std::int64_t count) {
  DW_TRY(const std::int64_t vocabulary, t.config.integer("vocab_size", 1, kMostTokens));
  std::vector<std::int64_t> numbers = t.extra.integers(t.architecture + ".engram.token_map");
  if (numbers.empty() && count == vocabulary)
    for (std::int64_t token = 0; token < vocabulary; ++token) numbers.push_back(token);
  if (numbers.empty()) return numbers;
  const std::int64_t most = *std::ranges::max_element(numbers);
  if (most + 1 != count || std::ssize(numbers) < vocabulary)
    return wrong(t, fmt::format("the {} tokens of tokenizer.json read as {} different ones, but Engram's "
                                "hashes are made for {} tokens that read as {}: it is of another model",
                                numbers.size(), most + 1, vocabulary, count));
  return numbers;
}

Status set_engram(Translation& t) {
  DW_TRY(std::vector<std::int64_t> layers, list_of(t, "engram_layer_ids", kMostTokens));
  // Primes are given out layer by layer, so those of layers that were cut off come last.
  std::erase_if(layers, [&](std::int64_t layer) { return layer >= t.layers; });
  if (layers.empty()) return Done{};
  const std::int64_t count = std::ssize(layers);
  DW_TRY(const std::int64_t run, t.config.integer("engram_max_ngram_size", 2, kMostRun));
  DW_TRY(const std::int64_t heads, t.config.integer("engram_n_heads", 1, kMostHeads));
  DW_TRY(const std::int64_t rows, t.config.integer("engram_vocab_size", 2, kMostRows));
  DW_TRY(const std::int64_t ids, t.config.integer("engram_compressed_vocab_size", 1, engram_hash::kMostIds));
  DW_TRY(const std::int64_t pad, t.config.integer("engram_pad_token_id", 0, kMostTokens));
  DW_RETURN_IF_ERROR(t.set_integer("engram.key_length", "engram_head_dim", kMostTokens));
  const std::int64_t columns = (run - 1) * heads;
  if (count * columns > 1 << 14)
    return wrong(t, "engram_layer_ids and engram_n_heads ask for too many primes");
  std::vector<std::int64_t> multipliers, offsets;
  const std::vector<std::int64_t> primes = engram_hash::primes(count * (run - 1), heads, rows);
  for (const std::int64_t layer : layers)
    for (const std::int64_t each : engram_hash::multipliers(layer, run, ids)) multipliers.push_back(each);
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < primes.size(); ++i) {
    if (i % static_cast<std::size_t>(columns) == 0) offset = 0;
    offsets.push_back(offset);
    offset += primes[i];
  }
  DW_TRY(std::vector<std::int64_t> numbers, token_numbers(t, ids));
  if (!numbers.empty()) {
    if (pad >= std::ssize(numbers)) return wrong(t, fmt::format("engram_pad_token_id {} is no token", pad));
    t.set("engram.pad_id", numbers[static_cast<std::size_t>(pad)]);
    t.set("engram.token_map", std::move(numbers));
  }
  t.set("engram.max_ngram_size", run);
  t.set("engram.head_count", heads);
  t.set("engram.multipliers", std::move(multipliers));
  t.set("engram.primes", primes);
  t.set("engram.offsets", std::move(offsets));
  t.set("engram.layer_ids", std::move(layers));
  return Done{};
}

Status add_engram(Translation& t, const std::string& prefix, const std::string& block) {
  if (!t.weights.has(prefix + "wkv")) return Done{};
  DW_RETURN_IF_ERROR(t.add(prefix + "embed", block + "engram_embd"));
  DW_RETURN_IF_ERROR(t.add(prefix + "wkv", block + "engram_wkv"));
  DW_RETURN_IF_ERROR(t.add_table(prefix + "q_weight", block + "engram_q.weight"));
  return t.add_table(prefix + "k_weight", block + "engram_k.weight");
}

Status translate_text(Translation& t) {
  DW_RETURN_IF_ERROR(t.set_common());
  DW_RETURN_IF_ERROR(set_deepseek4_sizes(t));
  DW_RETURN_IF_ERROR(set_sources(t));
  DW_RETURN_IF_ERROR(set_engram(t));
  set_deepseek4_rope(t);
  DW_RETURN_IF_ERROR(set_experts(t));
  DW_RETURN_IF_ERROR(t.add("embed", "token_embd"));
  DW_RETURN_IF_ERROR(t.add("norm", "output_norm"));
  DW_RETURN_IF_ERROR(t.add("head", "output"));
  for (std::int64_t i = 0; i < t.layers; ++i) {
    const std::string prefix = fmt::format("layers.{}.", i), block = fmt::format("blk.{}.", i);
    DW_RETURN_IF_ERROR(add_deepseek4_layer(t, prefix, block));
    DW_RETURN_IF_ERROR(add_engram(t, prefix + "engram.", block));
  }
  std::vector<std::string> left_out;
  if (t.weights.has_tensor("mtp.0.attn_norm.weight")) left_out.emplace_back("layers that draft (DSpark)");
  if (t.weights.has_tensor("image_start") || t.config.has("vision_config"))
    left_out.emplace_back("images: the model reads text only here");
  if (!left_out.empty()) t.metadata.values["deepwell.left_out"] = std::move(left_out);
  return Done{};
}

/// The text's settings are a part of config.json.
Status translate(Translation& t) {
  t.architecture = "deepseek41";
  if (!t.config.has("text_config")) return translate_text(t);
  const ConfigJson settings = t.config.child("text_config");
  Translation text{settings, t.weights, t.architecture, std::move(t.metadata), {}, t.extra};
  DW_RETURN_IF_ERROR(translate_text(text));
  t.metadata = std::move(text.metadata);
  t.tensors = std::move(text.tensors);
  t.layers = text.layers;
  t.heads = text.heads;
  return Done{};
}

}  // namespace

CheckpointFamily checkpoint_families_deepseek41() {
  return {{"deepseek_v41", "deepseek_v41_text"}, translate};
}

}  // namespace deepwell
