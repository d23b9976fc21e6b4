// SPDX-License-Identifier: Apache-2.0
#include "engine/convert/convert.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/human.h"
#include "engine/formats/gguf_writer.h"
#include "engine/quant/weight_format.h"
#include "engine/tensor/own_types.h"

namespace deepwell {
namespace {

constexpr std::int64_t kPieceElements = std::int64_t{1} << 22;  // converted at once

/// Parts of names of what stays in F32 whatever the type: few numbers that decide much.
constexpr std::string_view kExact[] = {"ffn_gate_inp", "exp_probs_b", "indexer.proj", "hc_",
                                       "_ape",         "attn_sinks",  "engram_q.",    "engram_k."};

bool is_integer(TypeId type) {
  return type == TypeId::kI8 || type == TypeId::kI16 || type == TypeId::kI32 || type == TypeId::kI64;
}

/// The type of a file nearest to one that only memory has.
TypeId kept(TypeId type) {
  if (type == kF8_E4M3) return TypeId::kBF16;
  if (type == kI4_ZERO) return TypeId::kQ4_1;
  return type;
}

TypeId type_for(const FileTensor& from, TypeId wanted, bool has_experts) {
  const auto fits = [&](TypeId type) { return from.row_length() % type_info(type).block_elements == 0; };
  TypeId type = wanted;
  const bool block_of_256 = type_info(wanted).block_elements == 256;
  if (from.name == "output.weight" && block_of_256) type = TypeId::kQ6_K;
  if (wanted == TypeId::kMXFP4) {
    const bool expert = from.name.find("_exps") != std::string::npos;
    if (has_experts ? !expert : !from.name.starts_with("blk.")) type = TypeId::kQ8_0;
  }
  // Memory that stays on disk: fewer bits would save neither memory nor, by the page, time.
  const bool table = from.name.find("engram_embd") != std::string::npos;
  if (!fits(type) || (table && type_info(type).block_elements > 1)) type = TypeId::kQ8_0;
  return fits(type) ? type : TypeId::kF16;
}

TypeId planned_type(const FileTensor& from, const Quantizer* wanted, bool has_experts) {
  if (is_integer(from.type)) return from.type;
  const bool exact = std::ranges::any_of(
      kExact, [&](std::string_view part) { return from.name.find(part) != std::string::npos; });
  if (from.dims == 1 || exact) return TypeId::kF32;
  return wanted == nullptr ? kept(from.type) : type_for(from, wanted->type, has_experts);
}

/// What fills a table of more rows than there are tokens.
Status pad_vocabulary(const ModelFile& file, Metadata& metadata) {
  const auto found = metadata.values.find("tokenizer.ggml.tokens");
  const FileTensor* const table = file.find("token_embd.weight");
  if (found == metadata.values.end()) {
    metadata.values["tokenizer.ggml.model"] = std::string("no_vocab");
    return Done{};
  }
  auto* const tokens = std::get_if<std::vector<std::string>>(&found->second);
  if (tokens == nullptr || table == nullptr) return Done{};
  const auto rows = static_cast<std::size_t>(table->rows());
  if (tokens->size() > rows)
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: {} tokens, but a table of {} rows; the tokenizer belongs to another model",
                             printable(file.path()), tokens->size(), rows)};
  std::vector<std::int64_t> types = metadata.integers("tokenizer.ggml.token_type");
  constexpr std::int64_t kUnused = 5;
  if (!types.empty()) types.resize(rows, kUnused);
  for (std::size_t i = tokens->size(); i < rows; ++i) tokens->push_back(fmt::format("[PAD{}]", i));
  if (!types.empty()) metadata.values["tokenizer.ggml.token_type"] = std::move(types);
  return Done{};
}

/// "general.file_type": what most bytes are.
std::int64_t file_type_of(const ConversionPlan& plan) {
  std::map<TypeId, std::int64_t> bytes;
  for (const FileTensor& tensor : plan.tensors) bytes[tensor.type] += tensor.data_bytes();
  const auto most = std::ranges::max_element(bytes, {}, [](const auto& each) { return each.second; });
  const Quantizer* const quantizer = most == bytes.end() ? nullptr : find_quantizer(most->first);
  return quantizer == nullptr ? 0 : quantizer->file_type;
}

class PieceWriter {
 public:
  PieceWriter(const FileTensor& from, TypeId to, ThreadPool& pool)
      : from_(from),
        rows_(from.data()),
        format_(from.type == to ? nullptr : find_weight_format(from.type)),
        quantizer_(from.type == to ? nullptr : find_quantizer(to)),
        in_bytes_(from.row_bytes()),
        out_bytes_(from.row_length() / type_info(to).block_elements * type_info(to).block_bytes),
        pool_(pool) {}

  /// Rows first .. first + count as file bytes.
  std::span<const std::byte> make(std::int64_t first, std::int64_t count) {
    memory_.resize(static_cast<std::size_t>(count * out_bytes_));
    pool_.run(count, [&](std::int64_t i, int) {
      std::byte* const out = memory_.data() + i * out_bytes_;
      thread_local std::vector<std::byte> made;
      made.resize(static_cast<std::size_t>(in_bytes_));
      const std::byte* const row = rows_.at(first + i, in_bytes_, made.data());
      if (format_ == nullptr) {
        std::copy_n(row, in_bytes_, out);
        return;
      }
      thread_local std::vector<float> values;
      values.resize(static_cast<std::size_t>(from_.row_length()));
      format_->dequantize(row, from_.row_length(), values.data());
      quantizer_->quantize(values.data(), from_.row_length(), out);
    });
    return memory_;
  }

 private:
  const FileTensor& from_;
  TensorRows rows_;
  const WeightFormat* format_;
  const Quantizer* quantizer_;
  std::int64_t in_bytes_, out_bytes_;
  ThreadPool& pool_;
  std::vector<std::byte> memory_;
};

/// GGUF has no names for all of V4's layer that drafts (its own end of the streams), and programs refuse
/// files with tensors they do not know: it is left out unless asked for. The start of its tensors' names; "":
/// nothing is left out.
std::string leave_out_drafting(const ModelFile& file, Metadata& metadata) {
  const std::string architecture = file.architecture();
  const auto layers = file.metadata().integer(architecture + ".block_count");
  const auto drafting = file.metadata().integer(architecture + ".nextn_predict_layers");
  if (architecture != "deepseek4" || !layers || drafting != 1) return {};
  const std::string block = fmt::format("blk.{}.", *layers - 1);
  if (file.find(block + "nextn.eh_proj.weight") == nullptr) return {};
  metadata.values[architecture + ".block_count"] = *layers - 1;
  metadata.values.erase(architecture + ".nextn_predict_layers");
  return block;
}

}  // namespace

Result<ConversionPlan> plan_conversion(const ModelFile& file, const Quantizer* type, bool all_drafting) {
  ConversionPlan plan;
  for (const auto& [key, value] : file.metadata().values)
    if (!key.starts_with("split.") && !key.starts_with("deepwell.") && key != "general.alignment")
      plan.metadata.values.emplace(key, value);
  DW_RETURN_IF_ERROR(pad_vocabulary(file, plan.metadata));
  const bool has_experts = std::ranges::any_of(file.tensors(), [](const FileTensor& tensor) {
    return tensor.name.find("_exps") != std::string::npos;
  });
  const std::string left_out = all_drafting ? "" : leave_out_drafting(file, plan.metadata);
  std::int64_t data_bytes = 0;
  for (const FileTensor& from : file.tensors()) {
    if (!left_out.empty() && from.name.starts_with(left_out)) continue;
    FileTensor to;
    to.name = from.name;
    to.dims = from.dims;
    to.shape = from.shape;
    to.type = planned_type(from, type, has_experts);
    if (to.type != from.type &&
        (find_weight_format(from.type) == nullptr || find_quantizer(to.type) == nullptr))
      return Error{ErrorCode::kUnsupported,
                   fmt::format("{}: tensor '{}' is of type {}, which this version cannot make {} of",
                               printable(file.path()), printable(from.name), type_info(from.type).name,
                               type_info(to.type).name)};
    data_bytes += gguf_padded(to.data_bytes());
    plan.tensors.push_back(std::move(to));
    plan.sources.push_back(&from);
  }
  plan.metadata.values["general.type"] = std::string("model");
  plan.metadata.values["general.file_type"] = file_type_of(plan);
  plan.metadata.values["general.quantization_version"] = std::int64_t{2};
  plan.file_bytes = static_cast<std::int64_t>(gguf_header(plan.metadata, plan.tensors).size()) + data_bytes;
  return plan;
}

Status write_conversion(const ModelFile& file, const ConversionPlan& plan, ThreadPool& pool,
                        const std::function<Status(std::span<const std::byte>)>& append,
                        const std::function<bool(std::int64_t bytes)>& progress) {
  const std::string header = gguf_header(plan.metadata, plan.tensors);
  DW_RETURN_IF_ERROR(append(as_raw_bytes(header)));
  auto written = static_cast<std::int64_t>(header.size());
  const std::byte padding[kGgufAlignment] = {};
  for (std::size_t t = 0; t < plan.tensors.size(); ++t) {
    const FileTensor &from = *plan.sources[t], &to = plan.tensors[t];
    PieceWriter writer(from, to.type, pool);
    // A loop of the thread pool has fewer than 2^24 tasks.
    const std::int64_t step = std::clamp<std::int64_t>(kPieceElements / from.row_length(), 1, 1 << 20);
    for (std::int64_t row = 0; row < from.rows(); row += step) {
      const auto bytes = writer.make(row, std::min(step, from.rows() - row));
      DW_RETURN_IF_ERROR(append(bytes));
      written += static_cast<std::int64_t>(bytes.size());
      if (!progress(written)) return Error{ErrorCode::kCancelled, "stopped"};
    }
    const std::int64_t rest = gguf_padded(to.data_bytes()) - to.data_bytes();
    DW_RETURN_IF_ERROR(append(std::span(padding).first(static_cast<std::size_t>(rest))));
    written += rest;
    for (const auto part : from.parts()) file.release(part);
  }
  return Done{};
}

}  // namespace deepwell
