// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/formats/model_file.h"

namespace deepwell {

/// The program itself, without a model. Measured.
inline constexpr std::int64_t kProgramBytes = 16'000'000;

struct StepShape {
  std::int64_t rows;     ///< tokens computed together
  std::int64_t context;  ///< tokens a sequence has at most
  std::int64_t width, experts_used;
};

/// Memory for the activations of one step (nn/scratch.h), from a file's header. Follows what the models
/// take: a block's attention and its feed-forward part have the same memory in turn. `drafting`: with the
/// layer that drafts, and what is kept of a step for it.
double step_bytes(const ModelFile& file, const StepShape& step, bool drafting);

/// What loading does with a tensor. Layers past the last are for drafting: the first of them, of which the
/// token table and the head are the model's. A matrix that the file has in two parts, too, is not loaded; of
/// a table of memory (Engram) a few rows are read where they lie: what it takes of memory can always go.
enum class TensorUse { kNone, kModel, kDrafting, kInFile };
TensorUse use_of(const ModelFile& file, const FileTensor& tensor);
/// Older files of latent attention hold keys and values in one matrix; it is rearranged at load.
bool is_expanded(const FileTensor& tensor);
bool is_routed(const FileTensor& tensor);
/// Numbers to look up, as experts by token: kept in 32 bits.
bool is_integers(const FileTensor& tensor);
/// Matrices stacked in one tensor: experts, heads.
std::int64_t slabs_of(const FileTensor& tensor);

}  // namespace deepwell
