// SPDX-License-Identifier: Apache-2.0
// GET /v1/models: what this server answers with. Source: OpenAI API reference, "List models".
#include "server/app/answer.h"
#include "server/app/model_object.h"

namespace deepwell {
namespace {

void models(const Call& call) {
  nlohmann::json data = nlohmann::json::array();
  for (const std::string& name : call.service.models.names()) {
    if (const auto model = call.service.models.find(name)) data.push_back(model_object(*model, name));
  }
  call.reply_json(dump({{"object", "list"}, {"data", std::move(data)}}));
}

}  // namespace

Endpoint endpoint_api_models() { return {"GET", "/v1/models", Access::kUser, models}; }

}  // namespace deepwell
