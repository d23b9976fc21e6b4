// SPDX-License-Identifier: Apache-2.0
// GET /v1/models/{id}. Source: OpenAI API reference, "Retrieve model".
#include <fmt/format.h>

#include "server/app/answer.h"
#include "server/app/model_object.h"

namespace deepwell {
namespace {

void model(const Call& call) {
  const std::string& name = call.request().captured.at("id");
  if (const auto found = call.service.models.find(name)) {
    return call.reply_json(dump(model_object(*found, name)));
  }
  ApiError error;
  error.status = 404;
  error.code = "model_not_found";
  error.param = "model";
  error.message = fmt::format("the model '{}' is not served here; see /v1/models", name.substr(0, 200));
  call.reply_error(error);
}

}  // namespace

Endpoint endpoint_api_model() { return {"GET", "/v1/models/{id...}", Access::kUser, model}; }

}  // namespace deepwell
