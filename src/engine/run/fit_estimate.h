// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "engine/formats/model_file.h"
#include "engine/run/engine.h"

namespace deepwell {

/// What a model shall do.
struct FitRequest {
  std::int64_t context = 0;   ///< tokens a sequence; 0: as trained, at most 8192
  std::int64_t parallel = 1;  ///< sequences at once
  CacheType cache_type = CacheType::kF16;
  bool drafting = true;  ///< with the layer that drafts, where the file has one, as --draft auto loads it
};

/// Weights that a step reads: bytes as packed in memory, and how many weights that is.
struct WeightsRead {
  double bytes = 0, weights = 0;
};

/// What a model takes to run, counted from its header: no weight is read.
struct FitNeeds {
  EngineInfo info;
  std::string path;
  std::int64_t file_bytes = 0;
  /// Why this version cannot run the file however much memory there is, and what to do; or "".
  std::string obstacle;
  bool weights_only = false;  ///< the architecture is unknown: cache, work memory and speed are not counted

  std::int64_t packed_bytes = 0;   ///< matrices in memory of their own; a tied head is one more
  std::int64_t table_bytes = 0;    ///< the token table, read where it lies in the file
  std::int64_t vector_bytes = 0;   ///< norms and biases, as floats
  std::int64_t in_file_bytes = 0;  ///< tables of memory (Engram): they stay on disk, and count nowhere
  std::int64_t context = 0, context_trained = 0, parallel = 1;
  std::int64_t cache_bytes_per_token = 0, cache_bytes_per_page = 0, page_tokens = 1, cache_bytes = 0;
  std::int64_t cache_bytes_rolling = 0;  ///< of each sequence, beside its pages, whatever its length
  std::int64_t drafting_bytes = 0;  ///< of all that, what the layer that drafts takes; 0: it is not loaded
  std::int64_t work_bytes = 0;      ///< activations of one step, tokenizer, program: about, rather too much

  WeightsRead always, head, routed;        ///< routed: all experts of a mixture
  std::int64_t experts_on_disk_bytes = 0;  ///< of routed experts, those that can be read one by one
  double matrix_weights = 0;               ///< of all matrices and the token table, but for those expanded
  std::int64_t expanded_bytes = 0;         ///< packed as rearranged_type (models/loader.h) says
  std::int64_t experts = 1, experts_used = 1;

  std::int64_t weight_bytes() const { return packed_bytes + table_bytes + vector_bytes; }
  std::int64_t total_bytes() const;
};
/// Errors: metadata that contradicts itself. A model that cannot run is no error but an obstacle.
Result<FitNeeds> count_needs(const ModelFile& file, const FitRequest& request);

/// Does it fit into `memory_bytes`?
struct FitVerdict {
  enum class Kind { kFits, kSmallerContext, kTooLarge, kCannotRun };
  Kind kind = Kind::kCannotRun;
  std::int64_t context_most = 0;   ///< tokens a sequence that fit, at most those trained or asked for
  std::int64_t parallel_most = 0;  ///< sequences of the context asked for that fit, at most those asked for
  std::int64_t missing_bytes = 0;  ///< for what was asked
  std::int64_t expert_cache_bytes = 0;  ///< it runs with so much of its experts in memory, the rest on disk
  struct Smaller {
    std::string type;  ///< "Q4_K"
    std::int64_t total_bytes;
    bool fits;
  };
  bool fits_without_drafting = false;  ///< it does not as asked, but would without the layer that drafts
  std::optional<Smaller> smaller;      ///< of the types this version computes with: the largest that fits, or
                                       ///< else the smallest; none when the file is already as small
};
FitVerdict judge(const FitNeeds& needs, std::int64_t memory_bytes);

/// A machine's two limits.
struct FitMachine {
  std::int64_t memory_bytes = 0;
  double read_gb_per_second = 0, int8_gops = 0;
  int threads = 0;        ///< 0: not said
  bool measured = false;  ///< here and now, at least one of the limits
};

/// Tokens per second that the machine's limits allow: weights are read once a step and the cache once a
/// token, or two operations are done for each weight and token, whichever takes longer.
struct FitSpeed {
  double decode_empty = 0, decode_full = 0;      ///< one sequence: at the start, with the context full
  double together_empty = 0, together_full = 0;  ///< all parallel sequences at once
  double prefill = 0;                            ///< short prompts, in chunks of 512
};
FitSpeed speed_limits(const FitNeeds& needs, const FitMachine& machine);

}  // namespace deepwell
