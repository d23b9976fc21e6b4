// SPDX-License-Identifier: Apache-2.0
// GET /deepwell/status: what an operator's page shows, cheap enough to ask for every second.
#include "base/memory.h"
#include "base/version.h"
#include "server/app/answer.h"

namespace deepwell {
namespace {
using nlohmann::json;

json status_of(const ModelState& model) {
  return {{"id", model.id},
          {"aliases", model.aliases},
          {"state", name_of(model.kind)},
          {"progress", model.progress},
          {"error", model.error.empty() ? json(nullptr) : json(model.error)},
          {"context", model.info.context},
          {"bytes", model.bytes},
          {"uses", model.uses},
          {"waiting_for_model", model.waiting},
          {"expires_seconds", model.expires_seconds ? json(*model.expires_seconds) : json(nullptr)}};
}

void add_stats(json& model, const EngineInfo& info, const EngineStats& stats) {
  model["running"] = stats.running;
  model["waiting"] = stats.waiting;
  model["stalled_seconds"] = stats.stalled_seconds;
  model["cache"] = {{"pages", stats.pages_total},
                    {"pages_used", stats.pages_used},
                    {"pages_prefixes", stats.pages_spare},
                    {"bytes_per_token", info.cache_bytes_per_token},
                    {"disk_bytes", stats.prefix_disk_bytes}};
  model["prompt_tokens_per_second"] = stats.prompt_tokens_per_second;
  model["generated_tokens_per_second"] = stats.generated_tokens_per_second;
  model["totals"] = {{"requests", stats.requests},
                     {"cancelled", stats.cancelled},
                     {"failed", stats.failed},
                     {"prompt_tokens", stats.prompt_tokens},
                     {"generated_tokens", stats.generated_tokens},
                     {"prefix_asked_tokens", stats.prefix_asked_tokens},
                     {"prefix_found_tokens", stats.prefix_found_tokens},
                     {"preemptions", stats.preemptions}};
}

void status(const Call& call) {
  static constexpr const char* kPhases[] = {"loading", "ready", "draining"};
  json models = json::array();
  for (const ModelState& model : call.service.models.list()) models.push_back(status_of(model));
  call.service.models.each_loaded([&](const ServedModel& loaded) {
    for (json& model : models)
      if (model["id"] == loaded.id) add_stats(model, loaded.engine->info(), loaded.engine->stats());
  });
  call.reply_json(dump(
      {{"version", version()},
       {"phase", kPhases[static_cast<int>(call.service.phase())]},
       {"uptime_seconds", call.service.uptime_seconds()},
       {"memory", {{"process_bytes", resident_memory_bytes()}, {"free_bytes", available_memory_bytes()}}},
       {"models", std::move(models)}}));
}

}  // namespace

Endpoint endpoint_api_status() { return {"GET", "/deepwell/status", Access::kUser, status}; }

}  // namespace deepwell
