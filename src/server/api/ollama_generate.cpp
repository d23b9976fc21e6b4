// SPDX-License-Identifier: Apache-2.0
// POST /api/generate. Source: Ollama's docs, "Generate a completion".
#include "server/app/ollama.h"

namespace deepwell {
namespace {

void ollama_generate(const Call& call) {
  ApiResult<Request> request = parse_ollama_generate(call.take_body());
  if (!request) return call.reply_error(request.error());
  if (!request->is_chat && request->prompts.empty())
    return reply_ollama_loaded(call, *request, /*chat=*/false);
  answer(
      call, std::move(*request),
      [](const Request&, const ServedModel&) { return make_ollama_dialect(/*chat=*/false); }, kOllamaStream);
}

}  // namespace

Endpoint endpoint_api_ollama_generate() {
  return {"POST", "/api/generate", Access::kUser, ollama_generate, ollama_error};
}

}  // namespace deepwell
