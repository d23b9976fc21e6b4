// SPDX-License-Identifier: Apache-2.0
#include "cli/model_report.h"

#include <algorithm>

namespace deepwell {
namespace {

/// A count a person would believe: above zero, below what makes products overflow.
std::optional<std::int64_t> sane(std::optional<std::int64_t> value) {
  if (value && (*value < 1 || *value > (std::int64_t{1} << 40))) return std::nullopt;
  return value;
}

/// Bytes that one token takes in an F16 cache of keys and values, if nothing unusual is in the way.
std::optional<std::int64_t> kv_bytes(const Metadata& m, const ModelReport& report) {
  if (report.architecture != "llama" && report.architecture != "qwen2") return std::nullopt;
  if (!report.layers || !report.head_dim || *report.layers > 100'000) return std::nullopt;
  const std::int64_t value_dim =
      sane(m.integer(report.architecture + ".attention.value_length")).value_or(*report.head_dim);
  std::vector<std::int64_t> heads = m.integers(report.architecture + ".attention.head_count_kv");
  if (heads.empty() && report.heads) heads = {*report.heads};
  if (heads.size() == 1) heads.assign(static_cast<std::size_t>(*report.layers), heads.front());
  if (heads.size() != static_cast<std::size_t>(*report.layers)) return std::nullopt;
  std::int64_t heads_all = 0;
  for (const std::int64_t each : heads)
    if (each < 0 || __builtin_add_overflow(heads_all, each, &heads_all)) return std::nullopt;
  std::int64_t bytes = 0;
  if (__builtin_mul_overflow(heads_all, 2 * (*report.head_dim + value_dim), &bytes)) return std::nullopt;
  return bytes;
}

void count_types(const ModelFile& file, ModelReport& report) {
  for (const FileTensor& tensor : file.tensors()) {
    const std::string name(type_info(tensor.type).name);
    auto found = std::ranges::find(report.types, name, &ModelReport::Type::name);
    if (found == report.types.end()) found = report.types.insert(found, {name});
    const std::int64_t parameters = tensor.row_length() * tensor.rows();
    ++found->tensors;
    found->parameters += parameters;
    found->bytes += static_cast<std::int64_t>(tensor.bytes.size());
    report.parameters += parameters;
    report.weight_bytes += static_cast<std::int64_t>(tensor.bytes.size());
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
  report.kv_bytes_per_token = kv_bytes(m, report);
  report.tokenizer = m.text("tokenizer.ggml.model").value_or("");
  report.pre_tokenizer = m.text("tokenizer.ggml.pre").value_or("");
  report.chat_template = m.text("tokenizer.chat_template").has_value();
  return report;
}

}  // namespace deepwell
