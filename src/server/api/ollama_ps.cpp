// SPDX-License-Identifier: Apache-2.0
// GET /api/ps. Source: Ollama's docs, "List running models". All models that are served are loaded, and stay.
#include "server/app/ollama.h"

namespace deepwell {
namespace {

void ollama_ps(const Call& call) {
  nlohmann::json models = nlohmann::json::array();
  for (const ServedModel* model : call.service.models()) {
    nlohmann::json one = ollama_model(*model);
    one["expires_at"] = "9999-12-31T23:59:59Z";
    one["size_vram"] = 0;
    one["context_length"] = model->engine->info().context;
    models.push_back(std::move(one));
  }
  call.reply_json(dump({{"models", std::move(models)}}));
}

}  // namespace

Endpoint endpoint_api_ollama_ps() { return {"GET", "/api/ps", Access::kUser, ollama_ps, ollama_error}; }

}  // namespace deepwell
