// SPDX-License-Identifier: Apache-2.0
// POST /api/embeddings, which /api/embed replaced. Source: Ollama's docs, "Generate Embedding".
#include "server/app/embed.h"
#include "server/app/ollama.h"

namespace deepwell {
namespace {

void ollama_embeddings(const Call& call) {
  ApiResult<EmbeddingRequest> request = parse_ollama_embeddings(call.take_body());
  if (!request) return call.reply_error(request.error());
  embed(call, std::move(*request), [](const EmbeddingRequest&, const Embeddings& made) {
    return R"({"embedding":)" + json_list(made.vectors.front()) + "}";
  });
}

}  // namespace

Endpoint endpoint_api_ollama_embeddings() {
  return {"POST", "/api/embeddings", Access::kUser, ollama_embeddings, ollama_error};
}

}  // namespace deepwell
