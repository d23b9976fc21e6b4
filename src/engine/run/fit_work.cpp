// SPDX-License-Identifier: Apache-2.0
#include "engine/run/fit_work.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <set>
#include <string_view>
#include <system_error>
#include <tuple>

#include "engine/kernels/activation_tile.h"
#include "engine/models/loader.h"
#include "engine/nn/engram.h"
#include "engine/nn/expanded_attention.h"
#include "engine/quant/weight_format.h"

namespace deepwell {
namespace {

constexpr double kFloat = 4;

/// What one part of a block takes for each token.
struct Part {
  double bytes = 0;
  std::set<std::tuple<std::int64_t, Activation, bool>> inputs;  // made ready once for all that read them

  void add_floats(double count) { bytes += kFloat * count; }
  void add_input(std::int64_t length, Activation kind, bool routed, double times) {
    if (!inputs.emplace(length, kind, routed).second) return;
    const std::int64_t block = kind == Activation::kQ8x256 ? 256 : kind == Activation::kQ8x32 ? 32 : 1;
    if (length % block != 0) return;  // a broken file; loading says so
    bytes += times * static_cast<double>(tile_bytes(kind, length, kMaxTileWidth)) / kMaxTileWidth;
  }
};

struct Block {
  Part attention;      // all the while
  Part choice, after;  // the indexer's, given back before the rest
  Part feed_forward, streams;
  Part join;    // of the layer that drafts, before it
  Part memory;  // Engram's, before the rest, of a few rows at a time
  double expanded = 0;
};

Activation activation_of(const FileTensor& tensor, bool precise) {
  const WeightFormat* format = find_weight_format(tensor.type);
  return precise || format == nullptr ? Activation::kF32 : format->activation;
}

std::int64_t streams_of(const ModelFile& file) {
  return file.metadata().integer(file.architecture() + ".hyper_connection.count").value_or(1);
}

class Counter {
 public:
  /// `selects`: layers choose entries to attend to.
  Counter(const ModelFile& file, const StepShape& step, bool selects)
      : file_(file), step_(step), selects_(selects) {}

  void add(const FileTensor& tensor, std::string_view name, Block& block) const {
    const auto rows = static_cast<double>(tensor.rows()), length = static_cast<double>(tensor.row_length());
    const auto used = static_cast<double>(step_.experts_used);
    if (name == "nextn.eh_proj.weight") {  // a token and a state, apart and side by side, less the output
      const auto streams = static_cast<double>(streams_of(file_));
      block.join.add_floats(1.5 * streams * length);
      block.join.add_input(tensor.row_length(), activation_of(tensor, false), false, streams);
    } else if (name.starts_with("engram_")) {
      if (name != "engram_wkv.weight") return;
      block.memory.add_floats(length + rows);
      block.memory.add_input(tensor.row_length(), activation_of(tensor, false), false, 1);
    } else if (name.starts_with("hc_")) {
      block.streams.add_input(tensor.row_length(), Activation::kF32, false, 1);
    } else if (!name.starts_with("attn") && !name.starts_with("indexer")) {
      Part& part = block.feed_forward;
      const bool down = name.starts_with("ffn_down");
      if (is_routed(tensor)) {
        part.add_floats(used * static_cast<double>(tensor.shape[1]));
        part.add_input(tensor.row_length(), activation_of(tensor, false), true, used);
      } else {
        if (!down) part.add_floats(rows);
        part.add_input(tensor.row_length(), activation_of(tensor, name.starts_with("ffn_gate_inp")), false,
                       1);
      }
    } else {
      add_attention(tensor, name, rows, length, block);
    }
  }

  /// Latents that are expanded to keys and values for a prompt; 0 where the model does not.
  double expanded() const {
    const auto latent = of("attention.kv_lora_rank");
    if (latent == 0 || selects_) return 0;
    const bool split = file_.metadata().has(file_.architecture() + ".attention.key_length_mla");
    const std::string suffix = split ? "_mla" : "";
    return static_cast<double>(ExpandedAttention::expanded_floats(
               std::max<std::int64_t>(1, of("attention.head_count")), of("attention.key_length" + suffix),
               of("attention.value_length" + suffix), std::max<std::int64_t>(1, step_.context))) *
           kFloat;
  }

 private:
  std::int64_t of(const std::string& key) const {
    return std::clamp<std::int64_t>(file_.metadata().integer(file_.architecture() + "." + key).value_or(0), 0,
                                    1 << 20);
  }
  void add_attention(const FileTensor& tensor, std::string_view name, double rows, double length,
                     Block& block) const {
    const auto slabs = static_cast<double>(slabs_of(tensor));
    Part& after = block.after;
    if (name == "attn_output.weight" || name == "attn_output_b.weight") {  // made in the residual's place
      after.add_input(tensor.row_length(), activation_of(tensor, false), false, 1);
      if (of("attention.kv_lora_rank") == 0 && name == "attn_output.weight") after.add_floats(length);
    } else if (name ==
               "attn_k_b.weight") {  // queries that meet latents: not in prompts, unless entries are chosen
      if (selects_) after.add_floats(rows + slabs * static_cast<double>(of("rope.dimension_count")));
    } else if (is_expanded(tensor)) {
      after.add_floats(static_cast<double>(of("attention.head_count") * of("attention.value_length")));
    } else if (name == "attn_v_b.weight") {
      after.add_floats(rows + (selects_ ? slabs * length : 0));
    } else if (name == "attn_output_a.weight") {
      after.add_floats(rows);
      block.attention.add_floats(slabs * length);
    } else {
      Part& part = name.starts_with("indexer.") ? block.choice : block.attention;
      part.add_floats(rows);
      part.add_input(tensor.row_length(), activation_of(tensor, name == "indexer.proj.weight"), false, 1);
    }
  }

  const ModelFile& file_;
  const StepShape& step_;
  const bool selects_;
};

}  // namespace

bool is_routed(const FileTensor& tensor) { return tensor.name.find("_exps.") != std::string::npos; }
bool is_expanded(const FileTensor& tensor) { return tensor.name.ends_with(".attn_kv_b.weight"); }
bool is_integers(const FileTensor& tensor) {
  return tensor.type == TypeId::kI32 || tensor.type == TypeId::kI64;
}
std::int64_t slabs_of(const FileTensor& tensor) { return tensor.shape[2] * tensor.shape[3]; }

TensorUse use_of(const ModelFile& file, const FileTensor& tensor) {
  const std::string architecture = file.architecture();
  if (is_expanded(tensor) && file.metadata().has(architecture + ".attention.key_length_mla"))
    return TensorUse::kNone;
  const std::string_view name = tensor.name;
  if (!name.starts_with("blk.")) return TensorUse::kModel;
  std::int64_t layer = 0;
  const auto [end, error] = std::from_chars(name.data() + 4, name.data() + name.size(), layer);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.') return TensorUse::kModel;
  const std::int64_t layers = file.metadata()
                                  .integer(architecture + ".block_count")
                                  .value_or(std::numeric_limits<std::int64_t>::max()) -
                              drafting_layers(file);
  if (layer < layers) return name.ends_with(".engram_embd.weight") ? TensorUse::kInFile : TensorUse::kModel;
  if (layer > layers || !has_drafting_layer(file)) return TensorUse::kNone;
  const std::string_view part(end + 1, name.data() + name.size());
  const bool unused = part.starts_with("nextn.embed_tokens") || part.starts_with("nextn.shared_head_head") ||
                      part.starts_with("indexer");  // it reads all entries
  return unused ? TensorUse::kNone : TensorUse::kDrafting;
}

double step_bytes(const ModelFile& file, const StepShape& step, bool drafting) {
  const bool selects =
      file.metadata().integer(file.architecture() + ".attention.indexer.top_k").value_or(0) > 0;
  const Counter counter(file, step, selects), drafts(file, step, false);
  std::map<std::string_view, Block> blocks;  // by "blk.3"
  for (const FileTensor& tensor : file.tensors()) {
    const std::string_view name = tensor.name;
    const TensorUse use = use_of(file, tensor);
    if (!name.starts_with("blk.") || tensor.rows() == 1 || is_integers(tensor) || use == TensorUse::kNone ||
        use == TensorUse::kInFile || (use == TensorUse::kDrafting && !drafting))
      continue;
    const std::size_t end = name.find('.', 4);
    if (end == std::string_view::npos) continue;
    Block& block = blocks[name.substr(0, end)];
    const Counter& of_block = use == TensorUse::kDrafting ? drafts : counter;
    block.expanded = of_block.expanded();
    of_block.add(tensor, name.substr(end + 1), block);
  }
  const auto rows = static_cast<double>(step.rows), width = static_cast<double>(step.width);
  double most = 0;
  for (const auto& [name, block] : blocks)
    most = std::max(
        {most,
         rows * (block.attention.bytes + std::max(block.choice.bytes, block.after.bytes) + kFloat * width) +
             block.expanded,
         rows * block.feed_forward.bytes, rows * block.streams.bytes, rows * block.join.bytes,
         std::min(rows, double{Engram::kRowsAtOnce}) * block.memory.bytes});
  // The residual, which may be several streams, and a block's input or output.
  const auto streams = static_cast<double>(streams_of(file));
  const double states = drafting ? 2 * rows * streams * kFloat * width : 0;  // the step's, and the layer's
  return most + rows * (1 + streams) * kFloat * width + states;
}

}  // namespace deepwell
