// SPDX-License-Identifier: Apache-2.0
// What a model takes to run. Mirrors what loading does: matrices are packed into memory of their own, the
// token table stays in the file, vectors become floats, and a head that is the token table is packed beside
// it.
#include "engine/run/fit_estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string_view>
#include <utility>

#include "engine/models/loader.h"
#include "engine/models/model.h"
#include "engine/quant/weight_format.h"
#include "engine/run/describe.h"
#include "engine/run/fit_work.h"

namespace deepwell {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kContextDefault = 8192;         // as EngineOptions::context says
constexpr std::int64_t kContextUseful = 512;           // less holds no question and its answer
constexpr std::int64_t kTokenizerBytesPerToken = 256;  // measured
// Files named after a type hold a few matrices in larger ones; the common mixes are at most this much larger.
constexpr double kMixSlack = 1.08;

// Sums of numbers a file states may be anything: stay at the largest instead of wrapping around.
std::int64_t plus(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? kMost : sum;
}
std::int64_t times(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? kMost : product;
}
std::int64_t whole(double bytes) { return bytes < 9e18 ? static_cast<std::int64_t>(bytes) : kMost; }

/// Latent attention keeps the matrix that expands keys for prompts, rearranged, beside the one it has from
/// the file.
std::int64_t turned_bytes(const ModelFile& file, const FileTensor& tensor) {
  const std::string attention = file.architecture() + ".attention.";
  if (file.metadata().has(attention + "indexer.top_k") && use_of(file, tensor) == TensorUse::kModel)
    return 0;  // entries are gathered, not expanded
  const std::int64_t bytes =
      times(times(tensor.rows(), tensor.row_length()), rearranged_type(tensor.type) == TypeId::kF32 ? 4 : 2);
  if (tensor.name.ends_with(".attn_k_b.weight")) return bytes;
  if (!is_expanded(tensor)) return 0;
  const auto value = file.metadata().integer(attention + "value_length").value_or(0);
  const auto key = file.metadata().integer(attention + "key_length").value_or(0) -
                   file.metadata().integer(file.architecture() + ".rope.dimension_count").value_or(0);
  return key <= 0 || value < 0 ? 0
                               : whole(static_cast<double>(bytes) * static_cast<double>(key) /
                                       static_cast<double>(key + value));
}

std::int64_t packed_bytes(const FileTensor& tensor) {
  const WeightFormat* format =
      find_weight_format(is_expanded(tensor) ? rearranged_type(tensor.type) : tensor.type);
  if (format == nullptr) return tensor.data_bytes();
  const std::int64_t groups = times(slabs_of(tensor), (tensor.shape[1] + kGroupRows - 1) / kGroupRows);
  return times(groups, format->group_bytes(tensor.row_length()));
}

void add_to(WeightsRead& read, const FileTensor& tensor) {
  read.bytes += static_cast<double>(packed_bytes(tensor));
  read.weights += static_cast<double>(tensor.rows()) * static_cast<double>(tensor.row_length());
}

void count_weights(const ModelFile& file, bool drafting, FitNeeds& needs) {
  const bool tied = file.find("output.weight") == nullptr;
  std::set<std::string_view> unusable;
  for (const FileTensor& tensor : file.tensors()) {
    const TensorUse use = use_of(file, tensor);
    if (use == TensorUse::kNone || (use == TensorUse::kDrafting && !drafting)) continue;
    if (use == TensorUse::kInFile) {
      needs.in_file_bytes = plus(needs.in_file_bytes, tensor.data_bytes());
      continue;
    }
    if (is_integers(tensor)) {
      needs.vector_bytes = plus(needs.vector_bytes, times(times(tensor.row_length(), tensor.rows()), 4));
      continue;
    }
    if (find_weight_format(tensor.type) == nullptr) unusable.insert(type_info(tensor.type).name);
    const auto weights = static_cast<double>(tensor.rows()) * static_cast<double>(tensor.row_length());
    if (tensor.rows() == 1) {
      needs.vector_bytes = plus(needs.vector_bytes, times(tensor.row_length(), 4));
      continue;
    }
    if (is_expanded(tensor))
      needs.expanded_bytes = plus(needs.expanded_bytes, packed_bytes(tensor));
    else
      needs.matrix_weights += weights;
    const std::int64_t turned = turned_bytes(file, tensor);
    needs.expanded_bytes = plus(needs.expanded_bytes, turned);
    needs.packed_bytes = plus(needs.packed_bytes, turned);
    if (tensor.name == "token_embd.weight") {
      needs.table_bytes = tensor.data_bytes();
      if (!tied) continue;
      needs.matrix_weights += weights;
      add_to(needs.head, tensor);
    } else if (tensor.name == "output.weight") {
      add_to(needs.head, tensor);
    } else if (is_routed(tensor)) {
      if (use == TensorUse::kModel) add_to(needs.routed, tensor);
      if (tensor.made == nullptr)
        needs.experts_on_disk_bytes = plus(needs.experts_on_disk_bytes, tensor.data_bytes());
      needs.experts = std::max(needs.experts, slabs_of(tensor));
    } else if (use == TensorUse::kModel) {
      add_to(needs.always, tensor);
    }
    needs.packed_bytes = plus(needs.packed_bytes, packed_bytes(tensor));
  }
  const auto used = file.metadata().integer(file.architecture() + ".expert_used_count");
  needs.experts_used = std::clamp<std::int64_t>(used.value_or(needs.experts), 1, needs.experts);
  if (!unusable.empty())
    needs.obstacle = fmt::format(
        "this version cannot compute with weights of type {}; get a Q4_K_M or Q8_0 file of the model",
        *unusable.begin());
}

std::int64_t work_bytes(const ModelFile& file, const FitNeeds& needs, bool drafting) {
  const std::int64_t chunk = std::min<std::int64_t>(EngineOptions{}.prefill_chunk, needs.context);
  const std::int64_t rows = chunk + needs.parallel - 1, vocabulary = needs.info.vocabulary;
  std::int64_t bytes =
      whole(step_bytes(file, {rows, needs.context, needs.info.width, needs.experts_used}, drafting));
  const std::int64_t guesses =
      1 + EngineOptions{}.draft_tokens;  // all are verified, and the next token drawn
  bytes = plus(bytes, times(times(vocabulary, 4 * guesses), needs.parallel));  // logits
  // A file may be without a vocabulary: weights alone, to be measured.
  if (file.metadata().text("tokenizer.ggml.model") == "none") return plus(bytes, kProgramBytes);
  return plus(bytes, plus(kProgramBytes, times(vocabulary, kTokenizerBytesPerToken)));
}

std::int64_t cache_bytes(const FitNeeds& needs, std::int64_t context) {
  const std::int64_t pages = (context + needs.page_tokens - 1) / needs.page_tokens;
  return times(plus(times(needs.cache_bytes_per_page, pages), needs.cache_bytes_rolling), needs.parallel);
}

/// The memory that a file of `bits` a weight would take for the same work.
std::int64_t total_with(const FitNeeds& needs, double bits) {
  const std::int64_t others =
      plus(plus(needs.vector_bytes, needs.expanded_bytes), plus(needs.cache_bytes, needs.work_bytes));
  return plus(others, whole(needs.matrix_weights * bits / 8));
}

std::optional<FitVerdict::Smaller> smaller_type(const FitNeeds& needs, std::int64_t memory_bytes) {
  std::optional<FitVerdict::Smaller> best;
  for (const WeightFormat& format : all_weight_formats()) {
    const TypeInfo& type = type_info(format.type);
    // Quantized types that models are published in: the 4- and 5-bit types before Q4_K are not, any more.
    if (type.block_elements == 1 || !(type.name.ends_with("_K") || type.name == "Q8_0")) continue;
    const double bits = static_cast<double>(type.block_bytes) * 8 / static_cast<double>(type.block_elements) *
                        (type.name.ends_with("_K") ? kMixSlack : 1);
    const std::int64_t total = total_with(needs, bits);
    if (total >= needs.total_bytes()) continue;
    const bool fits = total <= memory_bytes;
    if (!best || (fits ? !best->fits || total > best->total_bytes : !best->fits && total < best->total_bytes))
      best = {std::string(type.name), total, fits};
  }
  return best;
}

/// Tokens per second of steps of `rows` tokens, of which each reads a cache of `depth` tokens.
double rate(const FitNeeds& needs, const FitMachine& machine, double rows, double depth, double head_rows) {
  const double experts = static_cast<double>(needs.experts), used = static_cast<double>(needs.experts_used);
  const double bytes = needs.always.bytes + needs.head.bytes +
                       needs.routed.bytes * std::min(1.0, rows * used / experts) +
                       rows * depth * static_cast<double>(needs.cache_bytes_per_token);
  const double operations = 2 * (rows * (needs.always.weights + needs.routed.weights * used / experts) +
                                 head_rows * needs.head.weights);
  const double seconds =
      std::max(bytes / (machine.read_gb_per_second * 1e9), operations / (machine.int8_gops * 1e9));
  return seconds > 0 ? rows / seconds : 0;
}

}  // namespace

std::int64_t FitNeeds::total_bytes() const {
  return plus(plus(packed_bytes, plus(table_bytes, vector_bytes)), plus(cache_bytes, work_bytes));
}

Result<FitNeeds> count_needs(const ModelFile& file, const FitRequest& request) {
  FitNeeds needs;
  const bool drafting = request.drafting && has_drafting_layer(file);
  needs.info = describe_model(file);
  needs.path = file.path();
  needs.file_bytes = file.file_bytes();
  needs.parallel = std::max<std::int64_t>(1, request.parallel);
  count_weights(file, drafting, needs);
  const auto architecture = find_architecture(file.architecture());
  if (!architecture.ok()) {
    needs.obstacle = architecture.error().message;
    needs.weights_only = true;
    return needs;
  }
  DW_TRY(needs.context_trained, trained_context(file));
  needs.context = request.context > 0 ? request.context : std::min(needs.context_trained, kContextDefault);
  DW_TRY(const CacheLayout layout, cache_layout_of(file, request.cache_type, drafting));
  needs.cache_bytes_per_token = layout.bytes_per_token();
  needs.cache_bytes_per_page = layout.bytes_per_page();
  needs.cache_bytes_rolling = layout.rolling_bytes();
  needs.page_tokens = layout.page_tokens;
  needs.cache_bytes = cache_bytes(needs, needs.context);
  needs.work_bytes = work_bytes(file, needs, drafting);
  if (drafting) {
    FitRequest without = request;
    without.drafting = false;
    DW_TRY(const FitNeeds fewer, count_needs(file, without));
    needs.drafting_bytes = needs.total_bytes() - fewer.total_bytes();
  }
  return needs;
}

FitVerdict judge(const FitNeeds& needs, std::int64_t memory_bytes) {
  FitVerdict verdict;
  const std::int64_t total = needs.total_bytes();
  verdict.missing_bytes = std::max<std::int64_t>(0, total - memory_bytes);
  if (!needs.weights_only) {
    const std::int64_t all = memory_bytes - plus(needs.weight_bytes(), needs.work_bytes);
    const std::int64_t rolling = times(needs.cache_bytes_rolling, needs.parallel);
    const std::int64_t left = all < rolling ? -1 : all - rolling;  // for pages
    const std::int64_t most = std::max(needs.context, needs.context_trained);
    const std::int64_t page = std::max<std::int64_t>(1, times(needs.cache_bytes_per_page, needs.parallel));
    const std::int64_t sequence = std::max<std::int64_t>(1, needs.cache_bytes / needs.parallel);
    verdict.context_most = left < 0 ? 0 : std::min(most, times(left / page, needs.page_tokens));
    verdict.parallel_most = all < 0 ? 0 : std::min(needs.parallel, all / sequence);
  }
  if (!needs.obstacle.empty()) return verdict;
  if (verdict.missing_bytes == 0) {
    verdict.kind = FitVerdict::Kind::kFits;
    return verdict;
  }
  verdict.kind = verdict.context_most >= std::min(kContextUseful, needs.context)
                     ? FitVerdict::Kind::kSmallerContext
                     : FitVerdict::Kind::kTooLarge;
  verdict.fits_without_drafting = verdict.missing_bytes <= needs.drafting_bytes;
  verdict.smaller = smaller_type(needs, memory_bytes);
  // As loading decides. A cache of less than a few experts of each layer is not worth naming.
  const WeightSizes weights{needs.experts_on_disk_bytes, needs.weight_bytes() - needs.experts_on_disk_bytes};
  const std::int64_t cache = expert_cache_for(weights, needs.cache_bytes, memory_bytes);
  if (cache >= weights.experts / 16) verdict.expert_cache_bytes = cache;
  return verdict;
}

FitSpeed speed_limits(const FitNeeds& needs, const FitMachine& machine) {
  const auto parallel = static_cast<double>(needs.parallel), full = static_cast<double>(needs.context);
  const double chunk = EngineOptions{}.prefill_chunk;
  return {rate(needs, machine, 1, 0, 1), rate(needs, machine, 1, full, 1),
          rate(needs, machine, parallel, 0, parallel), rate(needs, machine, parallel, full, parallel),
          rate(needs, machine, chunk, 0, 1)};
}

}  // namespace deepwell
