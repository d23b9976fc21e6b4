// SPDX-License-Identifier: Apache-2.0
// POST /api/show. Source: Ollama's docs, "Show model information".
#include <fmt/format.h>

#include "server/app/ollama.h"
#include "server/request/json_reader.h"

namespace deepwell {
namespace {

void write_model(const Call& call, const ServedModel& model) {
  const auto state = call.service.models.find(model.id);
  const EngineInfo& info = model.engine->info();
  nlohmann::json capabilities = nlohmann::json::array({"completion", "embedding"});
  if (model.chat != nullptr) capabilities.push_back("tools");
  if (model.chat != nullptr && model.chat->can_think()) capabilities.push_back("thinking");
  const bool fills = model.tokenizer->vocabulary().fim_prefix.has_value();
  if (fills) capabilities.push_back("insert");
  nlohmann::json object = state ? ollama_model(*state) : nlohmann::json::object();
  object["modelfile"] = "";
  object["parameters"] = fmt::format("num_ctx {}", info.context);
  object["template"] = fills ? "{{ .Prompt }}{{ .Suffix }}" : "{{ .Prompt }}";
  object["capabilities"] = std::move(capabilities);
  object["model_info"] = {{"general.architecture", info.architecture},
                          {"general.parameter_count", info.parameters},
                          {info.architecture + ".context_length", info.context},
                          {info.architecture + ".block_count", info.layers},
                          {info.architecture + ".embedding_length", info.width}};
  call.reply_json(dump(object));
}

void ollama_show(const Call& call) {
  const ApiResult<Json> body = parse_body(call.request().body);
  if (!body) return call.reply_error(body.error());
  JsonReader reader(*body, "");
  std::string name = reader.text("model").value_or("");
  if (const auto older = reader.text("name"); older && name.empty()) name = *older;
  reader.harmless("verbose");
  reader.finish();
  if (reader.ok() && name.empty()) reader.fail("model", "'model' is missing");
  if (!reader.ok()) return call.reply_error(reader.error());
  if (name.ends_with(":latest")) name.resize(name.size() - 7);
  with_model(call, {name}, [call](const ModelUse& model) { write_model(call, *model); });
}

}  // namespace

Endpoint endpoint_api_ollama_show() {
  return {"POST", "/api/show", Access::kUser, ollama_show, ollama_error};
}

}  // namespace deepwell
