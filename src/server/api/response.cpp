// SPDX-License-Identifier: Apache-2.0
// GET /v1/responses/{id}. Source: OpenAI API reference, "Get a model response".
#include <fmt/format.h>

#include "server/app/answer.h"

namespace deepwell {
namespace {

void response(const Call& call) {
  const std::string& id = call.request().captured.at("id");
  if (auto found = call.service.responses.get(id, call.user)) return call.reply_json(std::move(found->json));
  ApiError error;
  error.status = 404;
  error.code = "response_not_found";
  error.message = fmt::format("there is no response '{}' here", id.substr(0, 100));
  call.reply_error(error);
}

}  // namespace

Endpoint endpoint_api_response() { return {"GET", "/v1/responses/{id}", Access::kUser, response}; }

}  // namespace deepwell
