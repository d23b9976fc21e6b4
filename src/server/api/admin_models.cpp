// SPDX-License-Identifier: Apache-2.0
// GET /admin/models: what this server can answer with, and what of it is loaded.
#include "server/app/admin_model.h"

namespace deepwell {
namespace {

void admin_models(const Call& call) {
  nlohmann::json all = nlohmann::json::array();
  for (const ModelState& model : call.service.models.list()) all.push_back(admin_model(model));
  call.reply_json(dump({{"models", std::move(all)}}));
}

}  // namespace

Endpoint endpoint_api_admin_models() { return {"GET", "/admin/models", Access::kAdmin, admin_models}; }

}  // namespace deepwell
