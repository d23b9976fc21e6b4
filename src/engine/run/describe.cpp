// SPDX-License-Identifier: Apache-2.0
#include "engine/run/describe.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "engine/models/loader.h"
#include "engine/models/model.h"
#include "engine/run/fit_work.h"

namespace deepwell {

EngineInfo describe_model(const ModelFile& file) {
  EngineInfo info;
  info.architecture = file.architecture();
  info.name = file.metadata().text("general.name").value_or("");
  info.layers = file.metadata().integer(info.architecture + ".block_count").value_or(0);
  info.width = file.metadata().integer(info.architecture + ".embedding_length").value_or(0);
  if (const FileTensor* table = file.find("token_embd.weight")) info.vocabulary = table->rows();
  std::map<std::string_view, std::int64_t> bytes_of;
  for (const FileTensor& tensor : file.tensors()) {
    info.parameters += tensor.row_length() * tensor.rows();
    const auto bytes = tensor.data_bytes();
    info.weight_bytes += bytes;
    bytes_of[type_info(tensor.type).name] += bytes;
  }
  std::vector<std::pair<std::int64_t, std::string_view>> order;
  for (const auto& [name, bytes] : bytes_of) order.emplace_back(bytes, name);
  std::sort(order.rbegin(), order.rend());
  for (const auto& [bytes, name] : order) {
    const std::int64_t percent = bytes * 100 / std::max<std::int64_t>(1, info.weight_bytes);
    if (percent == 0 && !info.weight_types.empty()) break;
    info.weight_types += fmt::format("{}{} {}%", info.weight_types.empty() ? "" : ", ", name, percent);
  }
  return info;
}

Result<std::int64_t> trained_context(const ModelFile& file) {
  ThreadPool none(1);
  return Loader(file, none, {}).integer("context_length", std::int64_t{1} << 30);
}

Result<CacheLayout> cache_layout_of(const ModelFile& file, CacheType type, bool drafting) {
  DW_TRY(const Architecture architecture, find_architecture(file.architecture()));
  ThreadPool none(1);
  return architecture.layout(Loader(file, none, {}, {.drafting = drafting}), type);
}

WeightSizes weight_sizes_of(const ModelFile& file, bool drafting) {
  WeightSizes sizes;
  for (const FileTensor& tensor : file.tensors()) {
    const TensorUse use = use_of(file, tensor);
    if (use == TensorUse::kNone || use == TensorUse::kInFile || (use == TensorUse::kDrafting && !drafting))
      continue;
    (tensor.made == nullptr && is_routed(tensor) ? sizes.experts : sizes.others) += tensor.data_bytes();
  }
  return sizes;
}

std::int64_t expert_cache_for(const WeightSizes& weights, std::int64_t cache_bytes, std::int64_t memory) {
  // Activations, program, what the system wants; less where there is little: small models live in small
  // places.
  const std::int64_t work = std::min(std::int64_t{512} << 20, memory / 4);
  const std::int64_t left = memory - weights.others - cache_bytes - work;
  if (memory <= 0 || weights.experts == 0 || left >= weights.experts) return 0;
  return std::max<std::int64_t>(1, left);  // where that is too little, opening the store says so
}

}  // namespace deepwell
