// SPDX-License-Identifier: Apache-2.0
// GET /health: 200 while requests are taken and worked on, 503 while not; with how many run and wait.
#include "base/version.h"
#include "server/app/answer.h"

namespace deepwell {
namespace {

void health(const Call& call) {
  const Phase phase = call.service.phase();
  int running = 0, waiting = 0;
  const double stalled_seconds = call.service.stalled_seconds();
  call.service.models.each_loaded([&](const ServedModel& model) {
    const EngineStats stats = model.engine->stats();
    running += stats.running;
    waiting += stats.waiting;
  });
  const bool stalled = phase == Phase::kReady && stalled_seconds > 0;
  const char* status = stalled                    ? "stalled"
                       : phase == Phase::kReady   ? "ok"
                       : phase == Phase::kLoading ? "loading"
                                                  : "draining";
  call.reply_json(dump({{"status", status},
                        {"running", running},
                        {"waiting", waiting},
                        {"stalled_seconds", stalled_seconds},
                        {"models", call.service.models.names()},
                        {"version", version()}}),
                  phase == Phase::kReady && !stalled ? 200 : 503);
}

}  // namespace

Endpoint endpoint_api_health() { return {"GET", "/health", Access::kPublic, health}; }

}  // namespace deepwell
