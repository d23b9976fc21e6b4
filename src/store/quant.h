// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace deepwell {

/// One model among the files of a repository: a GGUF file, all parts of a split one, or a checkpoint's files.
struct ModelVariant {
  std::string quant;               ///< "Q4_K_M", "UD-Q2_K_XL", "F16"; "" when the name does not tell
  std::vector<std::size_t> files;  ///< indices into the given paths, in order of the parts
  int parts = 1;                   ///< that its names speak of
  bool complete() const { return static_cast<int>(files.size()) == parts; }
};

/// The quantization a file's path speaks of, in capitals, or "".
std::string quant_in_path(std::string_view path);

/// All variants among `paths` (in the hub's order; a checkpoint in safetensors last), without vision
/// projectors and importance matrices.
std::vector<ModelVariant> find_variants(std::span<const std::string> paths);

/// The variant that `tag` asks for: a quantization in any case, or a file's path or name; "" takes Q4_K_M,
/// else the nearest to it. Errors: kNotFound and kInvalid, both list what there is.
Result<ModelVariant> choose_variant(std::span<const ModelVariant> variants,
                                    std::span<const std::string> paths, std::string_view tag,
                                    std::string_view repository);

}  // namespace deepwell
