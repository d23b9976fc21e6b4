// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/formats/model_file.h"

namespace deepwell {

/// What a model file says about itself, from its header alone. Nothing here was checked against the tensors:
/// numbers a file lacks, or has in a wrong type or range, are absent.
struct ModelReport {
  struct Type {
    std::string name;  ///< "Q4_K"
    std::int64_t tensors = 0, parameters = 0, bytes = 0;
  };
  std::string path, architecture, name;
  std::int64_t file_bytes = 0, tensors = 0, parameters = 0, weight_bytes = 0;
  std::vector<Type> types;  ///< the one with most bytes first
  std::optional<std::int64_t> context, layers, width, feed_forward, heads, kv_heads, head_dim, vocabulary;
  /// The cache of architectures that this version runs, for each of --cache-type: f16 first.
  struct Cache {
    std::string_view type;
    std::int64_t bytes_per_token, bytes_per_sequence;  ///< the latter beside it, whatever the length
    std::int64_t drafting_bytes_per_token;             ///< more, where the layer that drafts is loaded
  };
  std::vector<Cache> caches;
  std::string tokenizer, pre_tokenizer;
  bool chat_template = false;
  bool drafts = false;                ///< has a layer that drafts (MTP)
  std::vector<std::string> left_out;  ///< of a checkpoint's directory: parts that this version does not read

  double bits_per_weight() const {
    return parameters == 0 ? 0 : static_cast<double>(weight_bytes) * 8 / static_cast<double>(parameters);
  }
};
ModelReport report_on(const ModelFile& file);

std::string report_as_table(const ModelReport& report);
/// One line a key or tensor. Long texts and arrays are cut.
std::string metadata_as_table(const Metadata& metadata);
std::string tensors_as_table(const ModelFile& file);
/// One JSON object; with everything in full where asked for.
std::string report_as_json(const ModelReport& report, const ModelFile& file, bool metadata, bool tensors);

}  // namespace deepwell
