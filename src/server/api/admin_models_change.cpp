// SPDX-License-Identifier: Apache-2.0
// POST /admin/models {"action": "load" | "unload" | "alias", "model": NAME, "alias": NAME}: a model not yet
// known is looked for as `deepwell serve` does. Requests under way are not touched.
#include "server/app/admin_model.h"
#include "server/request/json_reader.h"

namespace deepwell {
namespace {

void reply_model(const Call& call, const std::string& name) {
  const auto model = call.service.models.find(name);
  call.reply_json(dump(model ? admin_model(*model) : nlohmann::json::object()));
}

void change(const Call& call) {
  const ApiResult<Json> body = parse_body(call.request().body);
  if (!body) return call.reply_error(body.error());
  JsonReader reader(*body, "");
  const std::string action = reader.text("action").value_or(""), name = reader.text("model").value_or(""),
                    alias = reader.text("alias").value_or("");
  if (reader.ok() && name.empty()) reader.fail("model", "'model' is missing");
  if (reader.ok() && action != "load" && action != "unload" && action != "alias")
    reader.fail("action", "'action' must be load, unload or alias");
  if (reader.ok() && (action == "alias") == alias.empty())
    reader.fail("alias", "'alias' is the new name, for the action alias alone");
  reader.finish();
  if (!reader.ok()) return call.reply_error(reader.error());
  ModelPool& models = call.service.models;
  if (action == "unload") {
    const Result<bool> unloaded = models.unload(name);
    return unloaded ? reply_model(call, name) : call.reply_error(to_api_error(unloaded.error()));
  }
  const Status known = action == "alias" ? models.alias(alias, name) : models.know(name);
  if (!known) return call.reply_error(to_api_error(known.error()));
  if (action == "alias") return reply_model(call, alias);
  with_model(call, {name}, [call, name](const ModelUse&) { reply_model(call, name); });
}

}  // namespace

Endpoint endpoint_api_admin_models_change() { return {"POST", "/admin/models", Access::kAdmin, change}; }

}  // namespace deepwell
