// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "server/model/generation.h"

namespace deepwell {

/// Counters and histograms in Prometheus' text form, under vLLM's names where vLLM has one, so that existing
/// dashboards and scalers read them. Thread-safe.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  struct Generation {
    std::string model;
    GenerationFinish finish;
    std::int64_t max_tokens = -1;
    double first_token_seconds = -1;  ///< from the request's arrival; < 0: none came
    double total_seconds = 0;
  };
  void observe(const Generation& generation);
  void observe_token_gap(const std::string& model, double seconds);
  void observe_choices(const std::string& model, int choices);
  void count_http(const std::string& method, const std::string& route, int status);
  void count_refused(const std::string& model);
  /// The audit log's own counts, taken over when asked for.
  void take_audit(std::uint64_t lost, std::size_t waiting);

  void take_spans(std::int64_t sent, std::int64_t dropped);
  /// What the engine counts itself, taken over when asked for.
  void take(const std::string& model, const EngineStats& stats);
  std::string text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace deepwell
