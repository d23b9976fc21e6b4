// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>

#include "base/result.h"

namespace deepwell {

/// One thing that took time, for a tracing system.
struct Span {
  std::string name;
  std::string trace_id, parent_id;  ///< hexadecimal; "": a trace of its own
  std::int64_t start_unix_ns = 0, end_unix_ns = 0;
  nlohmann::json attributes = nlohmann::json::object();  ///< texts, numbers, lists of texts
  std::string error;                                     ///< "": it went well
};

/// Trace and parent of a "traceparent" header (W3C Trace Context); both "" for what is none.
void read_traceparent(std::string_view header, Span& span);

/// Sends spans to an OpenTelemetry collector, OTLP over HTTP in JSON. Serving never waits for it: spans that
/// a slow collector leaves no room for are dropped and counted. Thread-safe.
class SpanExporter {
 public:
  /// `endpoint` as OTEL_EXPORTER_OTLP_ENDPOINT has it ("http://host:4318"; "/v1/traces" is added), or with
  /// the path. Errors: kInvalid.
  static Result<std::unique_ptr<SpanExporter>> open(const std::string& endpoint);
  ~SpanExporter();  ///< tries once more, a second at most
  SpanExporter(const SpanExporter&) = delete;
  SpanExporter& operator=(const SpanExporter&) = delete;

  void add(Span span);
  struct Counts {
    std::int64_t sent = 0, dropped = 0;
  };
  Counts counts() const;

 private:
  explicit SpanExporter(std::string url);
  void work();
  bool post(const std::string& body, long timeout_ms) const;

  const std::string url_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Span> waiting_;
  Counts counts_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace deepwell
