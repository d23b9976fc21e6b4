// SPDX-License-Identifier: Apache-2.0
// GET /v1/batches/{id}. Source: OpenAI API reference, "Retrieve batch".
#include "server/app/stored.h"

namespace deepwell {
namespace {

void batch(const Call& call) {
  Batches* batches = batches_of(call);
  if (batches == nullptr) return;
  reply_stored(call, batches->find(call.user, call.request().captured.at("id")));
}

}  // namespace

Endpoint endpoint_api_batch() { return {"GET", "/v1/batches/{id}", Access::kUser, batch}; }

}  // namespace deepwell
