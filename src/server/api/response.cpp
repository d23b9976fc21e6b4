// SPDX-License-Identifier: Apache-2.0
// GET /v1/responses/{id}. Source: OpenAI API reference, "Get a model response".
#include "server/app/stored.h"

namespace deepwell {
namespace {

void response(const Call& call) {
  const std::string& id = call.request().captured.at("id");
  // In this order: an answer is stored before it is no longer under way.
  if (call.service.background != nullptr)
    if (const auto object = call.service.background->find(call.user, id))
      return call.reply_json(dump(*object));
  if (auto found = call.service.responses.get(id, call.user)) return call.reply_json(std::move(found->json));
  reply_no_response(call, id);
}

}  // namespace

Endpoint endpoint_api_response() { return {"GET", "/v1/responses/{id}", Access::kUser, response}; }

}  // namespace deepwell
