// SPDX-License-Identifier: Apache-2.0
// DELETE /v1/responses/{id}. Source: OpenAI API reference, "Delete a model response".
#include <fmt/format.h>

#include "server/app/answer.h"

namespace deepwell {
namespace {

void response_delete(const Call& call) {
  const std::string& id = call.request().captured.at("id");
  if (call.service.responses.remove(id, call.user))
    return call.reply_json(dump({{"id", id}, {"object", "response"}, {"deleted", true}}));
  ApiError error;
  error.status = 404;
  error.code = "response_not_found";
  error.message = fmt::format("there is no response '{}' here", id.substr(0, 100));
  call.reply_error(error);
}

}  // namespace

Endpoint endpoint_api_response_delete() {
  return {"DELETE", "/v1/responses/{id}", Access::kUser, response_delete};
}

}  // namespace deepwell
