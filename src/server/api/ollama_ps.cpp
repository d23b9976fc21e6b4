// SPDX-License-Identifier: Apache-2.0
// GET /api/ps. Source: Ollama's docs, "List running models". Only what is loaded; what is in use has no end.
#include "server/app/ollama.h"

namespace deepwell {
namespace {

void ollama_ps(const Call& call) {
  nlohmann::json models = nlohmann::json::array();
  for (const ModelState& model : call.service.models.list()) {
    if (model.kind != ModelState::Kind::kLoaded && model.kind != ModelState::Kind::kLeaving) continue;
    nlohmann::json one = ollama_model(model);
    const auto stays = std::chrono::duration<double>(model.expires_seconds.value_or(0));
    one["expires_at"] = model.expires_seconds
                            ? rfc3339(std::chrono::system_clock::now() +
                                      std::chrono::duration_cast<std::chrono::system_clock::duration>(stays))
                            : "9999-12-31T23:59:59Z";
    one["size_vram"] = 0;
    one["context_length"] = model.info.context;
    models.push_back(std::move(one));
  }
  call.reply_json(dump({{"models", std::move(models)}}));
}

}  // namespace

Endpoint endpoint_api_ollama_ps() { return {"GET", "/api/ps", Access::kUser, ollama_ps, ollama_error}; }

}  // namespace deepwell
