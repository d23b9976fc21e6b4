// SPDX-License-Identifier: Apache-2.0
// POST /v1/batches. Source: OpenAI API reference, "Create batch".
#include "server/app/stored.h"
#include "server/request/json_reader.h"

namespace deepwell {
namespace {

void batches(const Call& call) {
  Batches* batches = batches_of(call);
  if (batches == nullptr) return;
  const ApiResult<Json> body = parse_body(call.request().body);
  if (!body) return call.reply_error(body.error());
  JsonReader reader(*body, "");
  const std::string file = reader.text("input_file_id").value_or(""),
                    endpoint = reader.text("endpoint").value_or("");
  // The one that there is; lines are answered as soon as nobody else waits.
  if (reader.text("completion_window").value_or("24h") != "24h")
    reader.fail("completion_window", "'completion_window' can only be \"24h\"");
  const Json* metadata = reader.object("metadata");
  reader.finish();
  if (!reader.ok()) return call.reply_error(reader.error());
  nlohmann::json kept = nullptr;
  if (metadata != nullptr)
    kept = nlohmann::json::parse(metadata->dump(-1, ' ', false, Json::error_handler_t::replace));
  reply_stored(call, batches->add(call.user, file, endpoint, std::move(kept)));
}

}  // namespace

Endpoint endpoint_api_batches() { return {"POST", "/v1/batches", Access::kUser, batches}; }

}  // namespace deepwell
