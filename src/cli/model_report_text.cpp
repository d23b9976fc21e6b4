// SPDX-License-Identifier: Apache-2.0
// A ModelReport as a table for people and as JSON for programs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "base/human.h"
#include "cli/model_report.h"

namespace deepwell {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::size_t kTextShown = 100;    // bytes of a text in a table
constexpr std::size_t kElementsShown = 8;  // of an array in a table

std::string number(const std::optional<std::int64_t>& value) { return value ? grouped(*value) : "not said"; }

std::string value_text(std::int64_t value) { return std::to_string(value); }
std::string value_text(double value) { return fmt::format("{}", value); }
std::string value_text(bool value) { return value ? "true" : "false"; }
std::string value_text(const std::string& value) { return printable(value, kTextShown); }
template <class T>
std::string value_text(const std::vector<T>& values) {
  std::string out = fmt::format("[{}]", values.size());
  for (std::size_t i = 0; i < values.size() && i < kElementsShown; ++i) {
    out += i == 0 ? " " : ", ";
    if constexpr (std::is_same_v<T, std::string>)
      out += '"' + printable(values[i], 20) + '"';
    else
      out += value_text(values[i]);
  }
  return values.size() > kElementsShown ? out + ", ..." : out;
}

std::string shape_text(const FileTensor& tensor) {
  std::string out = std::to_string(tensor.shape[0]);
  for (int i = 1; i < tensor.dims; ++i)
    out += " x " + std::to_string(tensor.shape[static_cast<std::size_t>(i)]);
  return out;
}

Json value_json(const MetadataValue& value) {
  return std::visit(
      [](const auto& v) -> Json {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, double>)
          return std::isfinite(v) ? Json(v) : Json(fmt::format("{}", v));  // JSON has no infinity
        else
          return Json(v);
      },
      value);
}

std::string cache_text(const ModelReport::Cache& cache, const std::optional<std::int64_t>& context) {
  std::string out = fmt::format("{:<5} {:>9} a token", cache.type, human_bytes(cache.bytes_per_token));
  if (cache.bytes_per_sequence > 0)
    out += fmt::format(" and {} a sequence", human_bytes(cache.bytes_per_sequence));
  if (cache.drafting_bytes_per_token > 0)
    out += fmt::format(", {} more to draft", human_bytes(cache.drafting_bytes_per_token));
  if (!context) return out;
  const double whole = static_cast<double>(cache.bytes_per_token) * static_cast<double>(*context) +
                       static_cast<double>(cache.bytes_per_sequence);
  return out + fmt::format(", {} for the whole context",
                           human_bytes(static_cast<std::int64_t>(std::min(9e18, whole))));
}

Json optional_json(const std::optional<std::int64_t>& value) { return value ? Json(*value) : Json(nullptr); }

}  // namespace

std::string report_as_table(const ModelReport& r) {
  std::string out;
  const auto line = [&](std::string_view key, std::string_view value) {
    fmt::format_to(std::back_inserter(out), "{:<16}{}\n", key, value);
  };
  line("file", printable(r.path));
  line("size", human_bytes(r.file_bytes));
  line("name", r.name.empty() ? "not said" : printable(r.name, 200));
  line("architecture", r.architecture.empty() ? "not said" : printable(r.architecture, 200));
  line("parameters", fmt::format("{} ({}), {:.2f} bits each", human_count(r.parameters),
                                 grouped(r.parameters), r.bits_per_weight()));
  line("context", fmt::format("{} tokens", number(r.context)));
  line("layers", number(r.layers));
  line("width", fmt::format("{}, feed-forward {}", number(r.width), number(r.feed_forward)));
  line("heads", fmt::format("{}, of keys and values {}, {} wide", number(r.heads), number(r.kv_heads),
                            number(r.head_dim)));
  for (const ModelReport::Cache& cache : r.caches)
    line(&cache == r.caches.data() ? "KV cache" : "", cache_text(cache, r.context));
  line("vocabulary", fmt::format("{} tokens", number(r.vocabulary)));
  line("tokenizer", r.tokenizer.empty() ? "none"
                                        : fmt::format("{}{}{}", printable(r.tokenizer, 200),
                                                      r.pre_tokenizer.empty() ? "" : ", pre-tokenizer ",
                                                      printable(r.pre_tokenizer, 200)));
  line("chat template", r.chat_template ? "yes" : "no");
  if (r.drafts) line("drafts itself", "yes, by a layer for that (MTP)");
  for (const std::string& part : r.left_out) line("left out", printable(part, 200));
  line("tensors", grouped(r.tensors));
  for (const ModelReport::Type& type : r.types)
    line("", fmt::format("{:<8} {:>6} tensors {:>8} parameters {:>9}", type.name, grouped(type.tensors),
                         human_count(type.parameters), human_bytes(type.bytes)));
  return out;
}

std::string metadata_as_table(const Metadata& metadata) {
  std::string out;
  for (const auto& [key, value] : metadata.values)
    fmt::format_to(std::back_inserter(out), "{:<44} {}\n", printable(key, 200),
                   std::visit([](const auto& v) { return value_text(v); }, value));
  return out;
}

std::string tensors_as_table(const ModelFile& file) {
  std::string out;
  for (const FileTensor& tensor : file.tensors())
    fmt::format_to(std::back_inserter(out), "{:<40} {:<8} {:<20} {:>9}\n", printable(tensor.name),
                   type_info(tensor.type).name, shape_text(tensor), human_bytes(tensor.data_bytes()));
  return out;
}

std::string report_as_json(const ModelReport& r, const ModelFile& file, bool metadata, bool tensors) {
  Json json{
      {"path", r.path},
      {"file_bytes", r.file_bytes},
      {"name", r.name},
      {"architecture", r.architecture},
      {"parameters", r.parameters},
      {"weight_bytes", r.weight_bytes},
      {"bits_per_weight", r.bits_per_weight()},
      {"context", optional_json(r.context)},
      {"layers", optional_json(r.layers)},
      {"width", optional_json(r.width)},
      {"feed_forward", optional_json(r.feed_forward)},
      {"heads", optional_json(r.heads)},
      {"kv_heads", optional_json(r.kv_heads)},
      {"head_dim", optional_json(r.head_dim)},
      {"kv_bytes_per_token", r.caches.empty() ? Json(nullptr) : Json(r.caches[0].bytes_per_token)},
      {"kv_bytes_per_sequence", r.caches.empty() ? Json(nullptr) : Json(r.caches[0].bytes_per_sequence)},
      {"vocabulary", optional_json(r.vocabulary)},
      {"tokenizer", {{"model", r.tokenizer}, {"pre", r.pre_tokenizer}}},
      {"chat_template", r.chat_template},
      {"drafting_layer", r.drafts},
      {"left_out", r.left_out},
      {"tensor_count", r.tensors}};
  json["kv_cache"] = Json::object();
  for (const ModelReport::Cache& cache : r.caches)
    json["kv_cache"][std::string(cache.type)] = {
        {"bytes_per_token", cache.bytes_per_token},
        {"bytes_per_sequence", cache.bytes_per_sequence},
        {"drafting_bytes_per_token", cache.drafting_bytes_per_token}};
  json["types"] = Json::array();
  for (const ModelReport::Type& type : r.types)
    json["types"].push_back({{"type", type.name},
                             {"tensors", type.tensors},
                             {"parameters", type.parameters},
                             {"bytes", type.bytes}});
  if (metadata) {
    json["metadata"] = Json::object();
    for (const auto& [key, value] : file.metadata().values) json["metadata"][key] = value_json(value);
  }
  if (tensors) {
    json["tensors"] = Json::array();
    for (const FileTensor& tensor : file.tensors())
      json["tensors"].push_back(
          {{"name", tensor.name},
           {"type", type_info(tensor.type).name},
           {"shape", std::vector<std::int64_t>(tensor.shape.begin(), tensor.shape.begin() + tensor.dims)},
           {"bytes", tensor.data_bytes()}});
  }
  // Texts of a file may be any bytes: what is no UTF-8 is replaced rather than thrown at.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace deepwell
