// SPDX-License-Identifier: Apache-2.0
// DELETE /v1/responses/{id}. Source: OpenAI API reference, "Delete a model response".
#include "server/app/stored.h"

namespace deepwell {
namespace {

void response_delete(const Call& call) {
  const std::string& id = call.request().captured.at("id");
  const bool was_under_way =
      call.service.background != nullptr && call.service.background->remove(call.user, id);
  if (call.service.responses.remove(id, call.user) || was_under_way)
    return call.reply_json(dump({{"id", id}, {"object", "response"}, {"deleted", true}}));
  reply_no_response(call, id);
}

}  // namespace

Endpoint endpoint_api_response_delete() {
  return {"DELETE", "/v1/responses/{id}", Access::kUser, response_delete};
}

}  // namespace deepwell
