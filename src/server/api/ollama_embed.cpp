// SPDX-License-Identifier: Apache-2.0
// POST /api/embed. Source: Ollama's docs, "Generate Embeddings".
#include <fmt/format.h>

#include "server/app/embed.h"
#include "server/app/ollama.h"

namespace deepwell {
namespace {

void ollama_embed(const Call& call) {
  ApiResult<EmbeddingRequest> request = parse_ollama_embed(call.take_body());
  if (!request) return call.reply_error(request.error());
  embed(call, std::move(*request), [](const EmbeddingRequest&, const Embeddings& made) {
    std::string vectors;
    for (const auto& vector : made.vectors) vectors += (vectors.empty() ? "" : ",") + json_list(vector);
    return fmt::format(
        R"({{"model":{},"embeddings":[{}],"total_duration":{},"load_duration":0,"prompt_eval_count":{}}})",
        dump(made.model), vectors, static_cast<std::int64_t>(made.seconds * 1e9), made.prompt_tokens);
  });
}

}  // namespace

Endpoint endpoint_api_ollama_embed() {
  return {"POST", "/api/embed", Access::kUser, ollama_embed, ollama_error};
}

}  // namespace deepwell
