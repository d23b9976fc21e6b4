// SPDX-License-Identifier: Apache-2.0
// GET /api/version. Source: Ollama's docs, "Version".
#include "base/version.h"
#include "server/app/ollama.h"

namespace deepwell {
namespace {

void ollama_version(const Call& call) { call.reply_json(dump({{"version", version()}})); }

}  // namespace

Endpoint endpoint_api_ollama_version() {
  return {"GET", "/api/version", Access::kPublic, ollama_version, ollama_error};
}

}  // namespace deepwell
