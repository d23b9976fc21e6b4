// SPDX-License-Identifier: Apache-2.0
#include "server/request/embedding_request.h"

#include "server/request/keep_alive.h"
#include "server/request/raw_prompts.h"

namespace deepwell {
namespace {
constexpr std::size_t kInputsMax = 2048;  // as OpenAI's API has it
constexpr std::int64_t kDimensionsMax = 1 << 20;

void read_pooling(JsonReader& reader, EmbeddingRequest& request) {
  const auto pooling = reader.text("pooling");
  if (!pooling) return;
  if (*pooling != "mean" && *pooling != "last")
    return reader.fail("pooling", "'pooling' must be \"mean\" or \"last\"");
  request.pooling = *pooling == "mean" ? Pooling::kMean : Pooling::kLast;
}

/// What Ollama's two have in common.
void read_ollama(JsonReader& reader, const char* field, EmbeddingRequest& request) {
  request.model = reader.text("model").value_or("");
  if (reader.ok() && request.model.empty()) reader.fail("model", "'model' is missing");
  if (request.model.ends_with(":latest")) request.model.resize(request.model.size() - 7);
  read_raw_prompts(reader, field, kInputsMax, request.inputs);
  for (const Request::RawPrompt& input : request.inputs) {
    if (!std::holds_alternative<std::string>(input))
      return reader.fail(field, std::string("'") + field + "' must be text");
  }
  request.truncate = reader.flag("truncate").value_or(true);
  request.idle_seconds = read_keep_alive(reader);
  reader.harmless("options");  // of sampling and of loading: nothing is drawn, and the model is loaded
}

}  // namespace

ApiResult<EmbeddingRequest> parse_embedding_request(std::string_view body) {
  const ApiResult<Json> parsed = parse_body(body);
  if (!parsed) return parsed.error();
  JsonReader reader(*parsed, "");
  EmbeddingRequest request;
  request.model = reader.text("model").value_or("");
  read_raw_prompts(reader, "input", kInputsMax, request.inputs);
  const std::string format = reader.text("encoding_format").value_or("float");
  if (format != "float" && format != "base64")
    reader.fail("encoding_format", "'encoding_format' must be \"float\" or \"base64\"");
  request.base64 = format == "base64";
  request.dimensions = reader.integer("dimensions", 1, kDimensionsMax).value_or(0);
  read_pooling(reader, request);
  reader.harmless("user");
  reader.finish();
  if (!reader.ok()) return reader.error();
  return request;
}

ApiResult<EmbeddingRequest> parse_ollama_embed(std::string_view body) {
  const ApiResult<Json> parsed = parse_body(body);
  if (!parsed) return parsed.error();
  JsonReader reader(*parsed, "");
  EmbeddingRequest request;
  read_ollama(reader, "input", request);
  request.dimensions = reader.integer("dimensions", 1, kDimensionsMax).value_or(0);
  reader.finish();
  if (!reader.ok()) return reader.error();
  return request;
}

ApiResult<EmbeddingRequest> parse_ollama_embeddings(std::string_view body) {
  const ApiResult<Json> parsed = parse_body(body);
  if (!parsed) return parsed.error();
  JsonReader reader(*parsed, "");
  EmbeddingRequest request;
  request.normalized = false;
  read_ollama(reader, "prompt", request);
  reader.finish();
  if (!reader.ok()) return reader.error();
  if (request.inputs.size() > 1) return invalid_field("prompt", "'prompt' must be one text");
  return request;
}

}  // namespace deepwell
