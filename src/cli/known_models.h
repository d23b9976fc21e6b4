// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/formats/model_file.h"

namespace deepwell {

/// What a model of one of DeepSeek's architectures, or of its distills', is large or small by.
struct ModelDimensions {
  std::string_view name, architecture;
  std::int64_t layers, width, heads, q_rank, ffn, vocabulary, context;
  std::int64_t dense, experts, used, shared, expert_ffn;  ///< of mixtures; dense: layers before them
  std::int64_t index_top = 0, groups = 0;                 ///< of V3.2 and V4; of V4
  std::int64_t kv_heads = 0;                              ///< of plain attention, heads of 128
  std::int64_t drafting = 0;                              ///< layers that draft, behind the others
};

/// The header that a GGUF file of such a model would have, every tensor that loading needs, with matrices of
/// `type`; mixed: as Q4_K_M is usually mixed. No tensor has data.
std::unique_ptr<ModelFile> model_header(const ModelDimensions& dimensions, TypeId type, bool mixed,
                                        std::string path);

/// The released models whose shapes are known without a file: "deepseek-v3", "deepseek-v4-flash", ...
std::vector<std::string_view> known_models();

/// The header of one of them, with matrices of `type`: the name of any weight type, or "Q4_K_M". kNotFound
/// when the model is not known, kInvalid when the type is not.
Result<std::unique_ptr<ModelFile>> known_model(std::string_view name, std::string_view type);

}  // namespace deepwell
