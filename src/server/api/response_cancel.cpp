// SPDX-License-Identifier: Apache-2.0
// POST /v1/responses/{id}/cancel: of those in the background. Source: OpenAI API reference, "Cancel a
// response".
#include "server/app/stored.h"

namespace deepwell {
namespace {

void response_cancel(const Call& call) {
  const std::string& id = call.request().captured.at("id");
  if (call.service.background != nullptr)
    if (const auto object = call.service.background->cancel(call.user, id))
      return call.reply_json(dump(*object));
  if (auto found = call.service.responses.get(id, call.user)) return call.reply_json(std::move(found->json));
  reply_no_response(call, id);
}

}  // namespace

Endpoint endpoint_api_response_cancel() {
  return {"POST", "/v1/responses/{id}/cancel", Access::kUser, response_cancel};
}

}  // namespace deepwell
