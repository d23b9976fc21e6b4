// SPDX-License-Identifier: Apache-2.0
#include "engine/checkpoint/weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/human.h"

namespace deepwell {
namespace {

std::optional<TypeId> type_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32:
      return TypeId::kF32;
    case Dtype::kF16:
      return TypeId::kF16;
    case Dtype::kBF16:
      return TypeId::kBF16;
    case Dtype::kI32:
      return TypeId::kI32;
    case Dtype::kI64:
      return TypeId::kI64;
    default:
      return std::nullopt;
  }
}

}  // namespace

Result<Weights> Weights::make(const Shards& shards, const ConfigJson& config, std::string folder) {
  Weights weights(shards, std::move(folder));
  const ConfigJson quantization = config.child("quantization_config");
  const std::string method = quantization.text("quant_method").value_or("");
  const auto unsupported = [&](const std::string& what) {
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("{}: weights quantized by {} are not supported by this version; get the model as FP8, "
                    "BF16, GPTQ or AWQ of 4 bits, or a GGUF of it",
                    printable(config.path()), printable(what, 80))};
  };
  const std::string format = quantization.text("format").value_or("");
  const bool floats = method == "fp8" || (method == "compressed-tensors" && format == "float-quantized");
  const bool int4 = method == "gptq" || method == "awq";
  if (!method.empty() && !floats && !int4)
    return unsupported(format.empty() ? method : method + " " + format);
  const auto block = quantization.object().find("weight_block_size");
  if (block != quantization.object().end() && block->is_array() && block->size() == 2 &&
      (*block)[0].is_number_unsigned() && (*block)[1].is_number_unsigned()) {
    weights.block_rows_ = std::clamp<std::int64_t>((*block)[0].get<std::int64_t>(), 1, 1 << 20);
    weights.block_columns_ = std::clamp<std::int64_t>((*block)[1].get<std::int64_t>(), 1, 1 << 20);
  }
  if (!int4) return weights;
  if (quantization.integer("bits").value_or(4) != 4)
    return unsupported(fmt::format("{} to {} bits", method, *quantization.integer("bits")));
  using Kind = quantized::Int4::Kind;
  const bool v2 = quantization.text("checkpoint_format") == "gptq_v2";
  weights.int4_.kind = method == "awq" ? Kind::kAwq : v2 ? Kind::kGptqV2 : Kind::kGptq;
  weights.int4_.group_size = quantization.integer("group_size").value_or(128);
  if (method == "awq" && quantization.text("version").value_or("gemm") != "gemm")
    return unsupported("awq " + *quantization.text("version"));
  return weights;
}

Error Weights::error(ErrorCode code, std::string_view tensor, std::string_view what) const {
  return {code, fmt::format("{}: tensor '{}' {}", printable(folder_), printable(tensor), what)};
}

bool Weights::has(const std::string& stem) const {
  return shards_->has(stem + ".weight") || shards_->has(stem + ".qweight");
}

const SafetensorsEntry* Weights::scale_of(const std::string& stem) const {
  for (const char* name : {".weight_scale_inv", ".scale", ".weight_scale"})
    if (const SafetensorsEntry* scale = shards_->find(stem + name)) return scale;
  return nullptr;
}

Result<FileTensor> Weights::quantized_matrix(const std::string& stem) const {
  const SafetensorsEntry* const weight = shards_->find(stem + ".weight");
  if (weight == nullptr) {
    quantized::Int4 from = int4_;
    from.steps = shards_->find(stem + ".qweight");
    from.zeros = shards_->find(stem + ".qzeros");
    from.scales = shards_->find(stem + ".scales");
    from.group_of = shards_->find(stem + ".g_idx");
    return quantized::int4(from);
  }
  const SafetensorsEntry* const scale = scale_of(stem);
  if (weight->dtype == Dtype::kF8E4M3) return quantized::fp8(*weight, {scale, block_rows_, block_columns_});
  return quantized::fp4(*weight, *scale);
}

Result<FileTensor> Weights::matrix(const std::string& stem) const {
  const SafetensorsEntry* const weight = shards_->find(stem + ".weight");
  const bool bytes = weight != nullptr && (weight->dtype == Dtype::kI8 || weight->dtype == Dtype::kU8);
  const bool quantized = (weight == nullptr && shards_->has(stem + ".qweight")) ||
                         (weight != nullptr && weight->dtype == Dtype::kF8E4M3) ||
                         (bytes && scale_of(stem) != nullptr);
  if (!quantized) return tensor(stem + ".weight");
  auto made = quantized_matrix(stem);
  if (!made.ok()) return error(made.error().code, stem, made.error().message);
  return made;
}

Result<FileTensor> Weights::tensor(const std::string& name) const {
  const SafetensorsEntry* const entry = shards_->find(name);
  if (entry == nullptr) return error(ErrorCode::kCorrupt, name, "is missing; fetch the directory again");
  const auto type = type_of(entry->dtype);
  if (!type)
    return error(
        ErrorCode::kUnsupported, name,
        fmt::format("is of type {}, which this version cannot compute with; get the model in another "
                    "precision",
                    dtype_name(entry->dtype)));
  if (entry->shape.empty() || entry->shape.size() > 3 || entry->elements() == 0)
    return error(ErrorCode::kCorrupt, name,
                 fmt::format("has {} dimensions and {} elements, which no weight has; fetch the file again",
                             entry->shape.size(), entry->elements()));
  FileTensor found;
  found.name = name;
  found.type = *type;
  found.dims = static_cast<int>(entry->shape.size());
  for (std::size_t i = 0; i < entry->shape.size(); ++i)
    found.shape[i] = entry->shape[entry->shape.size() - 1 - i];
  found.bytes = entry->bytes;
  return found;
}

}  // namespace deepwell
