// SPDX-License-Identifier: Apache-2.0
#include "server/request/sampling_fields.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "server/request/format_fields.h"

namespace deepwell {
namespace {
using json = Json;
constexpr std::size_t kStopsMax = 16;
constexpr std::size_t kStopBytesMax = 1000;
constexpr std::size_t kBiasesMax = 4096;
constexpr int kChoicesMax = 64;

void set(float& field, std::optional<double> value) {
  if (value) field = static_cast<float>(*value);
}
void set(int& field, std::optional<std::int64_t> value) {
  if (value) field = static_cast<int>(*value);
}

void read_texts(JsonReader& reader, const char* name, std::size_t count_max, std::vector<std::string>& out) {
  const json* value = reader.any(name);
  if (value == nullptr) return;
  out.clear();
  const auto add = [&](const json& one) {
    if (!one.is_string())
      return reader.fail(name, fmt::format("'{}' must be a string or a list of strings", name));
    std::string text = one.get<std::string>();
    if (text.empty() || text.size() > kStopBytesMax) {
      return reader.fail(name, fmt::format("'{}' takes strings of 1 to {} bytes", name, kStopBytesMax));
    }
    out.push_back(std::move(text));
  };
  if (!value->is_array()) return add(*value);
  if (value->size() > count_max) {
    return reader.fail(name,
                       fmt::format("'{}' takes at most {} strings, not {}", name, count_max, value->size()));
  }
  for (const json& one : *value) add(one);
}

void read_logit_bias(JsonReader& reader, SamplingOptions& sampling) {
  const json* value = reader.object("logit_bias");
  if (value == nullptr) return;
  if (value->size() > kBiasesMax) {
    return reader.fail("logit_bias", fmt::format("'logit_bias' takes at most {} tokens", kBiasesMax));
  }
  for (const auto& [key, bias] : value->items()) {
    Token token = -1;
    const auto parsed = std::from_chars(key.data(), key.data() + key.size(), token);
    if (parsed.ec != std::errc() || parsed.ptr != key.data() + key.size() || token < 0) {
      return reader.fail("logit_bias", "'logit_bias' must map token ids to numbers, like {\"42\": -100}");
    }
    if (!bias.is_number() || !(std::fabs(bias.get<double>()) <= 100)) {
      return reader.fail("logit_bias",
                         fmt::format("'logit_bias' of token {} must be a number from -100 to 100", token));
    }
    sampling.logit_bias.emplace_back(token, bias.get<float>());
  }
}

}  // namespace

void read_common_fields(JsonReader& reader, Request& request) {
  constexpr std::int64_t kInt = std::numeric_limits<std::int32_t>::max();
  SamplingOptions& sampling = request.generation.sampling;
  request.model = reader.text("model").value_or("");
  request.stream = reader.flag("stream").value_or(false);
  if (const json* options = reader.object("stream_options"); options != nullptr) {
    if (!request.stream) reader.fail("stream_options", "'stream_options' needs \"stream\": true");
    JsonReader inner(*options, "stream_options.");
    request.stream_usage = inner.flag("include_usage").value_or(false);
    inner.unsupported("include_obfuscation", "pieces are sent as they are");
    inner.unsupported("continuous_usage_stats", "use include_usage");
    inner.finish();
    if (!inner.ok()) reader.fail(inner.error());
  }
  if (const auto n = reader.integer("n", 1, kChoicesMax)) request.choices = static_cast<int>(*n);
  read_texts(reader, "stop", kStopsMax, request.generation.stop);
  request.generation.ignore_end = reader.flag("ignore_eos").value_or(false);

  set(sampling.temperature, reader.number("temperature", 0, 100));
  set(sampling.top_p, reader.number("top_p", 0, 1, /*open_min=*/true));
  if (const auto top_k = reader.integer("top_k", -1, kInt))
    sampling.top_k = *top_k < 0 ? 0 : static_cast<int>(*top_k);
  set(sampling.min_p, reader.number("min_p", 0, 1));
  set(sampling.typical_p, reader.number("typical_p", 0, 1, /*open_min=*/true));
  set(sampling.frequency_penalty, reader.number("frequency_penalty", -2, 2));
  set(sampling.presence_penalty, reader.number("presence_penalty", -2, 2));
  set(sampling.repetition_penalty, reader.number("repetition_penalty", 0, 100, /*open_min=*/true));
  set(sampling.repetition_penalty, reader.number("repeat_penalty", 0, 100, /*open_min=*/true));
  set(sampling.penalty_last_n, reader.integer("repeat_last_n", -1, kInt));
  set(sampling.dry_multiplier, reader.number("dry_multiplier", 0, 100));
  set(sampling.dry_base, reader.number("dry_base", 1, 100));
  set(sampling.dry_allowed_length, reader.integer("dry_allowed_length", 0, kInt));
  set(sampling.dry_last_n, reader.integer("dry_penalty_last_n", -1, kInt));
  read_texts(reader, "dry_sequence_breakers", 64, request.dry_breakers);
  read_logit_bias(reader, sampling);
  constexpr auto kLimit = std::numeric_limits<std::int64_t>::max();
  if (const auto seed = reader.integer("seed", std::numeric_limits<std::int64_t>::min(), kLimit)) {
    sampling.seed = static_cast<std::uint64_t>(*seed);
  }

  // One may put oneself behind others, not before them.
  if (const auto priority = reader.integer("priority", 0, 100))
    request.generation.priority = static_cast<int>(*priority);
  if (const auto seconds = reader.number("deadline_seconds", 0, 1e6, /*open_min=*/true)) {
    request.generation.deadline =
        std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                               std::chrono::duration<double>(*seconds));
  }

  for (const char* name : {"user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key"}) {
    reader.harmless(name);  // they describe the caller, not the answer
  }
  reader.unsupported("store", "answers are not kept on the server");
  read_format_fields(reader, request);
}

}  // namespace deepwell
