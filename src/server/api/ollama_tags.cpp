// SPDX-License-Identifier: Apache-2.0
// GET /api/tags. Source: Ollama's docs, "List local models".
#include "server/app/ollama.h"

namespace deepwell {
namespace {

void ollama_tags(const Call& call) {
  nlohmann::json models = nlohmann::json::array();
  for (const ModelState& model : call.service.models.list()) models.push_back(ollama_model(model));
  call.reply_json(dump({{"models", std::move(models)}}));
}

}  // namespace

Endpoint endpoint_api_ollama_tags() { return {"GET", "/api/tags", Access::kUser, ollama_tags, ollama_error}; }

}  // namespace deepwell
