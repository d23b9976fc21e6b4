// SPDX-License-Identifier: Apache-2.0
// GET /metrics: Prometheus' text format.
#include "server/app/metrics.h"

#include "server/app/endpoint.h"
#include "server/app/span_exporter.h"

namespace deepwell {
namespace {

void metrics(const Call& call) {
  call.service.models.each_loaded(
      [&](const ServedModel& model) { call.service.metrics.take(model.id, model.engine->stats()); });
  if (call.service.spans != nullptr) {
    const SpanExporter::Counts counts = call.service.spans->counts();
    call.service.metrics.take_spans(counts.sent, counts.dropped);
  }
  if (const auto& audit = call.service.audit; audit)
    call.service.metrics.take_audit(audit->lost(), audit->waiting());
  http::Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = call.service.metrics.text();
  call.exchange->reply(std::move(response));
}

}  // namespace

Endpoint endpoint_api_metrics() { return {"GET", "/metrics", Access::kAdmin, metrics}; }

}  // namespace deepwell
