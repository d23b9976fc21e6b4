// SPDX-License-Identifier: Apache-2.0
#include "cli/model_report.h"

#include <algorithm>

#include "engine/models/loader.h"
#include "engine/run/describe.h"

namespace deepwell {
namespace {

/// A count a person would believe: above zero, below what makes products overflow.
std::optional<std::int64_t> sane(std::optional<std::int64_t> value) {
  if (value && (*value < 1 || *value > (std::int64_t{1} << 40))) return std::nullopt;
  return value;
}

void count_types(const ModelFile& file, ModelReport& report) {
  for (const FileTensor& tensor : file.tensors()) {
    const std::string name(type_info(tensor.type).name);
    auto found = std::ranges::find(report.types, name, &ModelReport::Type::name);
    if (found == report.types.end()) found = report.types.insert(found, {name});
    const std::int64_t parameters = tensor.row_length() * tensor.rows();
    ++found->tensors;
    found->parameters += parameters;
    found->bytes += tensor.data_bytes();
    report.parameters += parameters;
    report.weight_bytes += tensor.data_bytes();
  }
  std::ranges::sort(report.types, std::ranges::greater{}, &ModelReport::Type::bytes);
}

}  // namespace

ModelReport report_on(const ModelFile& file) {
  const Metadata& m = file.metadata();
  ModelReport report;
  report.path = file.path();
  report.architecture = file.architecture();
  report.name = m.text("general.name").value_or("");
  report.file_bytes = file.file_bytes();
  report.tensors = static_cast<std::int64_t>(file.tensors().size());
  count_types(file, report);

  const auto of = [&](const char* key) { return sane(m.integer(report.architecture + key)); };
  report.context = of(".context_length");
  report.layers = of(".block_count");
  report.width = of(".embedding_length");
  report.feed_forward = of(".feed_forward_length");
  report.heads = of(".attention.head_count");
  report.kv_heads = of(".attention.head_count_kv");
  report.head_dim = of(".attention.key_length");
  if (!report.head_dim && report.width && report.heads) report.head_dim = sane(*report.width / *report.heads);
  report.vocabulary = of(".vocab_size");
  if (const auto* tokens = m.texts("tokenizer.ggml.tokens"); tokens != nullptr)
    report.vocabulary = static_cast<std::int64_t>(tokens->size());
  for (const std::string_view type : kCacheTypeNames) {
    const auto layout = cache_layout_of(file, *parse_cache_type(type));
    const auto drafting = cache_layout_of(file, *parse_cache_type(type), /*drafting=*/true);
    if (!layout.ok() || !drafting.ok()) break;
    const std::int64_t bytes = layout->bytes_per_token();
    report.caches.push_back({type, bytes, layout->rolling_bytes(), drafting->bytes_per_token() - bytes});
  }
  report.tokenizer = m.text("tokenizer.ggml.model").value_or("");
  report.pre_tokenizer = m.text("tokenizer.ggml.pre").value_or("");
  report.drafts = has_drafting_layer(file);
  if (const auto* parts = m.texts("deepwell.left_out"); parts != nullptr) report.left_out = *parts;
  report.chat_template = m.text("tokenizer.chat_template").has_value();
  return report;
}

}  // namespace deepwell
