// SPDX-License-Identifier: Apache-2.0
// POST /api/chat. Source: Ollama's docs, "Generate a chat completion".
#include "server/app/ollama.h"

namespace deepwell {
namespace {

void ollama_chat(const Call& call) {
  ApiResult<Request> request = parse_ollama_chat(call.take_body());
  if (!request) return call.reply_error(request.error());
  if (request->chat.messages.empty()) return reply_ollama_loaded(call, *request, /*chat=*/true);
  answer(
      call, std::move(*request),
      [](const Request&, const ServedModel&) { return make_ollama_dialect(/*chat=*/true); }, kOllamaStream);
}

}  // namespace

Endpoint endpoint_api_ollama_chat() {
  return {"POST", "/api/chat", Access::kUser, ollama_chat, ollama_error};
}

}  // namespace deepwell
