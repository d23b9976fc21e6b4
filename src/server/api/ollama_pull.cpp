// SPDX-License-Identifier: Apache-2.0
// POST /api/pull is refused: whoever runs the server chooses its models.
#include "server/app/ollama.h"

namespace deepwell {
namespace {

void ollama_pull(const Call& call) {
  ApiError error;
  error.status = 403;
  error.message =
      "models are fetched with 'deepwell pull' where this server runs, and chosen when it is started; see "
      "/api/tags";
  call.reply_error(error);
}

}  // namespace

Endpoint endpoint_api_ollama_pull() {
  return {"POST", "/api/pull", Access::kUser, ollama_pull, ollama_error};
}

}  // namespace deepwell
