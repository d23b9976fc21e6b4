// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "engine/convert/quantizer.h"
#include "engine/formats/model_file.h"

namespace deepwell {

/// What a converted file will hold.
struct ConversionPlan {
  Metadata metadata;
  std::vector<FileTensor> tensors;         ///< as they will be: names, types, shapes
  std::vector<const FileTensor*> sources;  ///< of each
  std::int64_t file_bytes = 0;
};

/// Plans a GGUF of a model. `type`: of its matrices; nullptr keeps each tensor's type, or takes the nearest
/// that a GGUF has. Vectors, routers and what else must stay exact become F32; the head of a file of K-quants
/// becomes Q6_K; rows that a type's blocks do not divide become Q8_0 or F16; with MXFP4 only the experts are
/// of that type where there are experts, and the rest Q8_0.
/// `all_drafting`: with V4's layer that drafts, too, of which other programs do not know every tensor.
/// Errors: kUnsupported (a type that this version cannot read), kCorrupt.
Result<ConversionPlan> plan_conversion(const ModelFile& file, const Quantizer* type,
                                       bool all_drafting = false);

/// Writes the whole file to `append`, in order. `progress` hears of bytes written; false stops (kCancelled).
Status write_conversion(const ModelFile& file, const ConversionPlan& plan, ThreadPool& pool,
                        const std::function<Status(std::span<const std::byte>)>& append,
                        const std::function<bool(std::int64_t bytes)>& progress);

}  // namespace deepwell
