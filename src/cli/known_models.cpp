// SPDX-License-Identifier: Apache-2.0
// Shapes of the released models, from their config.json; tensors as GGUF names them, with the first layer
// that drafts.
#include "cli/known_models.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <initializer_list>

#include "base/human.h"
#include "engine/formats/listed_model_file.h"
#include "engine/quant/weight_format.h"

namespace deepwell {
namespace {

constexpr ModelDimensions kModels[] = {
    {"deepseek-v2-lite", "deepseek2", 27, 2048, 16, 0, 10944, 102400, 163840, 1, 64, 6, 2, 1408},
    {"deepseek-v2", "deepseek2", 60, 5120, 128, 1536, 12288, 102400, 163840, 1, 160, 6, 2, 1536},
    {"deepseek-v3", "deepseek2", 61, 7168, 128, 1536, 18432, 129280, 163840, 3, 256, 8, 1, 2048, 0, 0, 0, 1},
    {"deepseek-r1", "deepseek2", 61, 7168, 128, 1536, 18432, 129280, 163840, 3, 256, 8, 1, 2048, 0, 0, 0, 1},
    {"deepseek-v3.1", "deepseek2", 61, 7168, 128, 1536, 18432, 129280, 163840, 3, 256, 8, 1, 2048, 0, 0, 0,
     1},
    {"deepseek-v3.2", "deepseek32", 61, 7168, 128, 1536, 18432, 129280, 163840, 3, 256, 8, 1, 2048, 2048, 0,
     0, 1},
    {"deepseek-v4-flash", "deepseek4", 43, 4096, 64, 1024, 0, 129280, 1048576, 0, 256, 6, 1, 2048, 512, 8, 0,
     1},
    {"deepseek-v4-pro", "deepseek4", 61, 7168, 128, 1536, 0, 129280, 1048576, 0, 384, 6, 1, 3072, 1024, 16, 0,
     1},
    {"deepseek-v4.1-flash", "deepseek41", 40, 5120, 64, 1280, 0, 129280, 1048576, 0, 384, 6, 1, 2304, 512, 8},
    {"r1-distill-qwen-1.5b", "qwen2", 28, 1536, 12, 0, 8960, 151936, 131072, 0, 0, 0, 0, 0, 0, 0, 2},
    {"r1-distill-qwen-7b", "qwen2", 28, 3584, 28, 0, 18944, 152064, 131072, 0, 0, 0, 0, 0, 0, 0, 4},
    {"r1-distill-qwen-14b", "qwen2", 48, 5120, 40, 0, 13824, 152064, 131072, 0, 0, 0, 0, 0, 0, 0, 8},
    {"r1-distill-qwen-32b", "qwen2", 64, 5120, 40, 0, 27648, 152064, 131072, 0, 0, 0, 0, 0, 0, 0, 8},
    {"r1-distill-llama-8b", "llama", 32, 4096, 32, 0, 14336, 128256, 131072, 0, 0, 0, 0, 0, 0, 0, 8},
    {"r1-distill-llama-70b", "llama", 80, 8192, 64, 0, 28672, 128256, 131072, 0, 0, 0, 0, 0, 0, 0, 8},
};

class HeaderOnly final : public ListedModelFile {
 public:
  explicit HeaderOnly(std::string name) : ListedModelFile(std::move(name)) {}
  void set(const std::string& key, MetadataValue value) { metadata_.values[key] = std::move(value); }
  void add(FileTensor tensor) {
    file_bytes_ += tensor.data_bytes();
    ListedModelFile::add(std::move(tensor));
  }
};

/// Writes what one model's header has, layer by layer.
class Writer {
 public:
  Writer(HeaderOnly& file, const ModelDimensions& shape, TypeId type, bool mixed)
      : file_(file), s_(shape), type_(type), mixed_(mixed) {}

  void write() {
    file_.set("general.architecture", std::string(s_.architecture));
    file_.set("general.name", std::string(s_.name));
    set("block_count", s_.layers + s_.drafting);
    if (s_.drafting > 0) set("nextn_predict_layers", s_.drafting);
    set("context_length", s_.context);
    set("embedding_length", s_.width);
    if (s_.ffn > 0) set("feed_forward_length", s_.ffn);
    set("attention.head_count", s_.heads);
    set("vocab_size", s_.vocabulary);
    matrix("token_embd", {s_.width, s_.vocabulary}, false);
    matrix("output", {s_.width, s_.vocabulary}, true);
    vector("output_norm", s_.width);
    if (s_.experts > 0) {
      set("expert_count", s_.experts);
      set("expert_used_count", s_.used);
      set("expert_shared_count", s_.shared);
      set("expert_feed_forward_length", s_.expert_ffn);
      set("leading_dense_block_count", s_.dense);
    }
    const bool v4 = s_.architecture == "deepseek4", plain = s_.kv_heads > 0;
    if (v4 || is_v41())
      write_v4_keys();
    else if (plain)
      set("attention.head_count_kv", s_.kv_heads);
    else
      write_latent_keys();
    for (layer_ = 0; layer_ < s_.layers + s_.drafting; ++layer_) {
      vector("attn_norm", s_.width);
      vector("ffn_norm", s_.width);
      if (v4)
        write_v4_attention();
      else if (is_v41())
        write_v41_attention();
      else if (plain)
        write_plain_attention();
      else
        write_latent_attention();
      write_feed_forward();
      if (drafts()) write_join(v4);
    }
  }

 private:
  static constexpr std::int64_t kLatent = 512, kRope = 64, kNope = 128, kValue = 128;  // of V2 to V3.2
  static constexpr std::int64_t kHead = 512, kStreams = 4, kOutRank = 1024;            // of V4
  static constexpr std::int64_t kIndexHeads = 64, kIndexWidth = 128, kPlainHead = 128;
  static constexpr std::int64_t kHashLayers = 3;  // of V4: experts by token
  // Of V4.1: layers that make entries, that select them, and that look up memory.
  const std::vector<std::int64_t> kEntryLayers{2, 8, 14, 20}, kIndexLayers{2, 8, 14, 20, 24, 28, 32, 36},
      kEngramLayers{1, 14};
  static constexpr std::int64_t kEngramWidth = 256;

  void set(std::string_view key, std::int64_t value) {
    file_.set(fmt::format("{}.{}", s_.architecture, key), value);
  }
  /// `fine`: among those that a mix keeps in more bits.
  TypeId pick(std::int64_t row_length, bool fine) const {
    const TypeId type = mixed_ && fine ? TypeId::kQ6_K : type_;
    return row_length % type_info(type).block_elements == 0 ? type : TypeId::kQ8_0;
  }
  void add(std::string_view name, TypeId type, std::initializer_list<std::int64_t> shape) {
    FileTensor tensor;
    tensor.name = layer_ < 0 ? std::string(name) : fmt::format("blk.{}.{}", layer_, name);
    if (!name.ends_with(".bias")) tensor.name += ".weight";
    tensor.type = type;
    tensor.dims = static_cast<int>(shape.size());
    std::copy(shape.begin(), shape.end(), tensor.shape.begin());
    file_.add(std::move(tensor));
  }
  void matrix(std::string_view name, std::initializer_list<std::int64_t> shape, bool fine = false) {
    add(name, pick(*shape.begin(), fine), shape);
  }
  void vector(std::string_view name, std::int64_t size) { add(name, TypeId::kF32, {size}); }

  void write_latent_keys() {
    set("attention.kv_lora_rank", kLatent);
    if (s_.q_rank > 0) set("attention.q_lora_rank", s_.q_rank);
    set("rope.dimension_count", kRope);
    set("attention.key_length", kLatent + kRope);
    set("attention.value_length", kLatent);
    set("attention.key_length_mla", kNope + kRope);
    set("attention.value_length_mla", kValue);
    if (s_.index_top > 0) write_index_keys();
  }
  void write_index_keys() {
    set("attention.indexer.head_count", kIndexHeads);
    set("attention.indexer.key_length", kIndexWidth);
    set("attention.indexer.top_k", s_.index_top);
  }
  void write_v4_keys() {
    set("attention.key_length", kHead);
    set("attention.value_length", kHead);
    set("rope.dimension_count", kRope);
    set("attention.q_lora_rank", s_.q_rank);
    set("attention.output_group_count", s_.groups);
    set("attention.output_lora_rank", kOutRank);
    set("attention.sliding_window", 128);
    set("hyper_connection.count", kStreams);
    set("hyper_connection.sinkhorn_iterations", 20);
    if (is_v41()) return write_v41_keys();
    set("hash_layer_count", kHashLayers);
    add("output_hc_fn", TypeId::kF32, {s_.width * kStreams, kStreams});
    vector("output_hc_base", kStreams);
    vector("output_hc_scale", 1);
    write_index_keys();
    std::vector<std::int64_t> ratios;
    for (std::int64_t i = 0; i < s_.layers + s_.drafting; ++i) ratios.push_back(ratio_of(i));
    file_.set(fmt::format("{}.attention.compress_ratios", s_.architecture), ratios);
  }
  /// The first two layers have a window only (Flash) or compress by 128 (Pro); then 4 and 128 take turns.
  /// What drafts has a window only.
  std::int64_t ratio_of(std::int64_t layer) const {
    if (layer >= s_.layers) return 0;
    if (layer < 2) return s_.layers == 43 ? 0 : 128;
    return layer % 2 == 0 ? 4 : 128;
  }

  bool drafts() const { return layer_ >= s_.layers; }
  /// What a layer that drafts has of its own: in front of it, and behind.
  void write_join(bool v4) {
    matrix("nextn.eh_proj", {2 * s_.width, s_.width});
    for (const std::string_view part : {"enorm", "hnorm", "shared_head_norm"})
      vector(fmt::format("nextn.{}", part), s_.width);
    if (!v4) return;
    add("nextn.output_hc_fn", TypeId::kF32, {s_.width * kStreams, kStreams});
    vector("nextn.output_hc_base", kStreams);
    vector("nextn.output_hc_scale", 1);
  }

  void write_plain_attention() {
    matrix("attn_q", {s_.width, s_.heads * kPlainHead});
    matrix("attn_k", {s_.width, s_.kv_heads * kPlainHead});
    matrix("attn_v", {s_.width, s_.kv_heads * kPlainHead}, fine_layer());
    matrix("attn_output", {s_.heads * kPlainHead, s_.width});
    if (s_.architecture != "qwen2") return;
    vector("attn_q.bias", s_.heads * kPlainHead);
    vector("attn_k.bias", s_.kv_heads * kPlainHead);
    vector("attn_v.bias", s_.kv_heads * kPlainHead);
  }
  void write_latent_attention() {
    const std::int64_t queries = s_.heads * (kNope + kRope);
    if (s_.q_rank > 0) {
      matrix("attn_q_a", {s_.width, s_.q_rank});
      vector("attn_q_a_norm", s_.q_rank);
      matrix("attn_q_b", {s_.q_rank, queries});
    } else {
      matrix("attn_q", {s_.width, queries});
    }
    matrix("attn_kv_a_mqa", {s_.width, kLatent + kRope});
    vector("attn_kv_a_norm", kLatent);
    matrix("attn_k_b", {kNope, kLatent, s_.heads});
    matrix("attn_v_b", {kLatent, kValue, s_.heads});
    matrix("attn_output", {s_.heads * kValue, s_.width});
    if (s_.index_top == 0 || drafts()) return;
    matrix("indexer.attn_q_b", {s_.q_rank, kIndexHeads * kIndexWidth});
    matrix("indexer.attn_k", {s_.width, kIndexWidth});
    add("indexer.proj", TypeId::kF32, {s_.width, kIndexHeads});
    vector("indexer.k_norm", kIndexWidth);
    vector("indexer.k_norm.bias", kIndexWidth);
  }
  void write_v4_attention() {
    const std::int64_t ratio = ratio_of(layer_);
    write_window_attention();
    if (ratio == 0) return;
    const std::int64_t series = ratio == 4 ? 2 : 1;
    for (const std::string_view part : {"attn_compressor_kv", "attn_compressor_gate"})
      add(part, TypeId::kF16, {s_.width, series * kHead});
    add("attn_compressor_ape", TypeId::kF32, {series * kHead, ratio});
    vector("attn_compressor_norm", kHead);
    if (ratio != 4) return;
    add("indexer.proj", TypeId::kF16, {s_.width, kIndexHeads});
    add("indexer.attn_q_b", TypeId::kF16, {s_.q_rank, kIndexHeads * kIndexWidth});
    for (const std::string_view part : {"indexer_compressor_kv", "indexer_compressor_gate"})
      add(part, TypeId::kF16, {s_.width, 2 * kIndexWidth});
    add("indexer_compressor_ape", TypeId::kF32, {2 * kIndexWidth, ratio});
    vector("indexer_compressor_norm", kIndexWidth);
  }
  /// What V4 and V4.1 have in every layer.
  void write_window_attention() {
    const std::int64_t mix = (2 + kStreams) * kStreams;
    for (const std::string_view part : {"attn", "ffn"}) {
      add(fmt::format("hc_{}_fn", part), TypeId::kF32, {s_.width * kStreams, mix});
      vector(fmt::format("hc_{}_base", part), mix);
      vector(fmt::format("hc_{}_scale", part), 3);
    }
    vector("attn_sinks", s_.heads);
    matrix("attn_q_a", {s_.width, s_.q_rank});
    vector("attn_q_a_norm", s_.q_rank);
    matrix("attn_q_b", {s_.q_rank, s_.heads * kHead});
    matrix("attn_kv", {s_.width, kHead});
    vector("attn_kv_a_norm", kHead);
    matrix("attn_output_a", {s_.heads * kHead / s_.groups, kOutRank, s_.groups});
    matrix("attn_output_b", {s_.groups * kOutRank, s_.width});
  }

  bool is_v41() const { return s_.architecture == "deepseek41"; }
  bool is_one_of(const std::vector<std::int64_t>& layers) const {
    return std::ranges::find(layers, layer_) != layers.end();
  }
  void write_v41_keys() {
    const auto list = [&](const char* key, const std::vector<std::int64_t>& values) {
      file_.set(fmt::format("{}.{}", s_.architecture, key), values);
    };
    set("attention.indexer.head_count", kIndexHeads / 2);
    set("attention.indexer.key_length", kIndexWidth);
    set("attention.indexer.top_k", s_.index_top);
    std::vector<std::int64_t> ratios(static_cast<std::size_t>(s_.layers), 1);
    std::fill_n(ratios.begin(), 20, 2);
    std::fill_n(ratios.begin(), 2, 0);
    list("attention.compress_ratios", ratios);
    list("attention.kv_source_layer_ids", kEntryLayers);
    list("attention.index_source_layer_ids", kIndexLayers);
    set("attention.candidate_source_layer_id", 20);
    set("attention.candidate_topk_blocks", 2048);
    set("attention.candidate_block_size", 8);
    list("engram.layer_ids", kEngramLayers);
    set("engram.max_ngram_size", 4);
    set("engram.head_count", 8);
    set("engram.key_length", kEngramWidth);
  }
  void write_v41_attention() {
    write_window_attention();
    if (is_one_of(kEntryLayers)) {
      add("attn_compressor_kv", TypeId::kF16, {s_.width, kHead});
      if (layer_ < 20) add("attn_compressor_gate", TypeId::kF16, {s_.width, kHead});
      vector("attn_compressor_norm", kHead);
      add("indexer.attn_k", TypeId::kF16, {kHead, kIndexWidth});
      vector("indexer.k_norm", kIndexWidth);
    }
    if (is_one_of(kIndexLayers)) {
      add("indexer.proj", TypeId::kF16, {s_.width, kIndexHeads / 2});
      add("indexer.attn_q_b", TypeId::kF16, {s_.q_rank, kIndexHeads / 2 * kIndexWidth});
    }
    if (!is_one_of(kEngramLayers)) return;
    add("engram_embd", TypeId::kQ8_0, {kEngramWidth, layer_ == 1 ? 384006168 : 384016682});
    matrix("engram_wkv", {3 * 8 * kEngramWidth, (kStreams + 1) * s_.width});
    add("engram_q", TypeId::kF32, {s_.width, kStreams});
    add("engram_k", TypeId::kF32, {s_.width, kStreams});
  }
  void write_feed_forward() {
    if (layer_ < s_.dense || s_.experts == 0) {
      matrix("ffn_gate", {s_.width, s_.ffn});
      matrix("ffn_up", {s_.width, s_.ffn});
      matrix("ffn_down", {s_.ffn, s_.width}, fine_layer());
      return;
    }
    add("ffn_gate_inp", TypeId::kF32, {s_.width, s_.experts});
    if (s_.architecture == "deepseek4" && layer_ < kHashLayers)
      add("ffn_gate_tid2eid", TypeId::kI32, {s_.used, s_.vocabulary});
    matrix("ffn_gate_exps", {s_.width, s_.expert_ffn, s_.experts});
    matrix("ffn_up_exps", {s_.width, s_.expert_ffn, s_.experts});
    matrix("ffn_down_exps", {s_.expert_ffn, s_.width, s_.experts}, fine_layer());
    matrix("ffn_gate_shexp", {s_.width, s_.expert_ffn * s_.shared});
    matrix("ffn_up_shexp", {s_.width, s_.expert_ffn * s_.shared});
    matrix("ffn_down_shexp", {s_.expert_ffn * s_.shared, s_.width}, fine_layer());
  }
  /// The first and last eighth of the layers, and every third between, as Q4_K_M is usually made.
  bool fine_layer() const {
    const std::int64_t eighth = s_.layers / 8;
    return layer_ < eighth || layer_ >= 7 * s_.layers / 8 || (layer_ - eighth) % 3 == 2;
  }

  HeaderOnly& file_;
  const ModelDimensions& s_;
  TypeId type_;
  bool mixed_;
  std::int64_t layer_ = -1;
};

}  // namespace

std::unique_ptr<ModelFile> model_header(const ModelDimensions& dimensions, TypeId type, bool mixed,
                                        std::string path) {
  auto file = std::make_unique<HeaderOnly>(std::move(path));
  Writer(*file, dimensions, type, mixed).write();
  return file;
}

std::vector<std::string_view> known_models() {
  std::vector<std::string_view> names;
  for (const ModelDimensions& shape : kModels) names.push_back(shape.name);
  return names;
}

Result<std::unique_ptr<ModelFile>> known_model(std::string_view name, std::string_view type) {
  const auto* const shape = std::ranges::find(kModels, name, &ModelDimensions::name);
  if (shape == std::end(kModels))
    return Error{ErrorCode::kNotFound, fmt::format("'{}' is none of the models whose shapes are known: {}",
                                                   printable(name), fmt::join(known_models(), ", "))};
  const bool mixed = type == "Q4_K_M";
  const std::string_view wanted = mixed ? "Q4_K" : type;
  std::string types = "Q4_K_M";
  for (const WeightFormat& format : all_weight_formats()) {
    if (type_info(format.type).name != wanted) {
      types += fmt::format(", {}", type_info(format.type).name);
      continue;
    }
    return model_header(*shape, format.type, mixed, fmt::format("{} {}", name, type));
  }
  return Error{ErrorCode::kInvalid,
               fmt::format("weights of type '{}' are not known; give one of {}", printable(type), types)};
}

}  // namespace deepwell
