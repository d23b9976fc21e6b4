// SPDX-License-Identifier: Apache-2.0
// GET /v1/batches. Source: OpenAI API reference, "List batches".
#include "server/app/stored.h"

namespace deepwell {
namespace {

void batches_list(const Call& call) {
  Batches* batches = batches_of(call);
  if (batches == nullptr) return;
  reply_list(call, batches->list(call.user));
}

}  // namespace

Endpoint endpoint_api_batches_list() { return {"GET", "/v1/batches", Access::kUser, batches_list}; }

}  // namespace deepwell
