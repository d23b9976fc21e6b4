// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/checkpoint/config_json.h"
#include "engine/checkpoint/weights.h"
#include "engine/formats/model_file.h"

namespace deepwell {

/// A checkpoint on its way to the terms of GGUF: what a family reads, and where it writes.
struct Translation {
  const ConfigJson& config;
  const Weights& weights;
  std::string architecture;  ///< of GGUF; a family sets it first
  Metadata metadata;
  std::vector<FileTensor> tensors;
  const Metadata& extra;  ///< what the caller adds: the vocabulary

  /// Sets the key architecture.NAME.
  void set(std::string_view name, MetadataValue value);
  /// Sets the key from a required whole number of config.json.
  Status set_integer(std::string_view name, const char* config_name, std::int64_t highest);
  /// What every family has: layers, width, heads, context, epsilon, and rope without its scaling.
  Status set_common();
  std::int64_t layers = 0, heads = 0;  ///< set by set_common
  /// There is one layer more, which drafts.
  void set_drafting_layer();

  /// Embedding, last norm and head.
  Status add_ends();
  /// stem + ".weight" and, where there is one, stem + ".bias".
  Status add(const std::string& stem, const std::string& name);
  /// The same where the checkpoint has it.
  Status add_if_there(const std::string& stem, const std::string& name);
  /// A tensor that is stored as it is used, full names.
  Status add_table(const std::string& from, const std::string& to);
  /// Rows of q or k from rope over halves to rope over neighbours: within each of `count` heads, row
  /// j * size / 2 + i becomes row 2i + j.
  Status add_interleaved(const std::string& stem, const std::string& name, std::int64_t count);
  /// What an expert's matrices are called.
  struct ExpertNames {
    const char *gate, *up, *down;
  };
  /// The experts of `prefix` ("model.layers.3.mlp.") in `block`: one tensor each or fused.
  Status add_experts(const std::string& prefix, const std::string& block, std::int64_t count,
                     const ExpertNames& names = ExpertNames{"gate_proj", "up_proj", "down_proj"});

 private:
  Status add_stack(const std::string& prefix, const char* part, const std::string& name, std::int64_t count);
};

/// A file of families/: the model types of config.json that it knows.
struct CheckpointFamily {
  std::vector<std::string_view> model_types;
  Status (*translate)(Translation& translation);
};
const std::vector<CheckpointFamily>& all_checkpoints();

/// Rope's scaling as GGUF's keys (and the tensor rope_freqs.weight for llama3's). `latent`: of multi-head
/// latent attention, where YaRN's magnitude belongs to the scores.
Status set_rope_scaling(Translation& translation, std::int64_t head_dim, bool latent = false);

}  // namespace deepwell
