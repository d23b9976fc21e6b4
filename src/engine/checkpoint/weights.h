// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "engine/checkpoint/config_json.h"
#include "engine/checkpoint/quantized_rows.h"
#include "engine/checkpoint/shards.h"
#include "engine/formats/model_file.h"

namespace deepwell {

/// The matrices and vectors of a checkpoint by their stems ("model.layers.0.mlp.up_proj"), whatever precision
/// they are stored in.
class Weights {
 public:
  /// `config`: of the model; its quantization_config says how weights are stored. `folder` is for messages.
  static Result<Weights> make(const Shards& shards, const ConfigJson& config, std::string folder);

  bool has(const std::string& stem) const;
  /// stem + ".weight", (rows, k), or a stack of such on top of each other where it has three dimensions.
  Result<FileTensor> matrix(const std::string& stem) const;
  /// A tensor by its full name: a bias, a norm, a table.
  bool has_tensor(const std::string& name) const { return shards_->has(name); }
  Result<FileTensor> tensor(const std::string& name) const;

 private:
  Weights(const Shards& shards, std::string folder) : shards_(&shards), folder_(std::move(folder)) {}
  Result<FileTensor> quantized_matrix(const std::string& stem) const;
  const SafetensorsEntry* scale_of(const std::string& stem) const;
  Error error(ErrorCode code, std::string_view tensor, std::string_view what) const;
  const Shards* shards_;
  std::string folder_;
  std::int64_t block_rows_ = 128, block_columns_ = 128;  // of FP8
  quantized::Int4 int4_;                                 // kind and group size
};

}  // namespace deepwell
