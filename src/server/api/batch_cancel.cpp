// SPDX-License-Identifier: Apache-2.0
// POST /v1/batches/{id}/cancel. Source: OpenAI API reference, "Cancel batch".
#include "server/app/stored.h"

namespace deepwell {
namespace {

void batch_cancel(const Call& call) {
  Batches* batches = batches_of(call);
  if (batches == nullptr) return;
  reply_stored(call, batches->cancel(call.user, call.request().captured.at("id")));
}

}  // namespace

Endpoint endpoint_api_batch_cancel() {
  return {"POST", "/v1/batches/{id}/cancel", Access::kUser, batch_cancel};
}

}  // namespace deepwell
