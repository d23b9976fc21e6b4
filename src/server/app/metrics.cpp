// SPDX-License-Identifier: Apache-2.0
#include "server/app/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <chrono>
#include <mutex>

#include "base/memory.h"

namespace deepwell {
namespace {
using Labels = std::map<std::string, std::string>;
using Buckets = prometheus::Histogram::BucketBoundaries;

const Buckets kFirstToken = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
                             1.0,   2.5,   5.0,  7.5,  10,   20,   40,   80,  160,  640, 2560};
const Buckets kTokenGap = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3,
                           0.4,   0.5,    0.75,  1.0,  2.5,   5,    10,    20,  40,   80};
const Buckets kLatency = {0.05, 0.1, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5,    10,  15,
                          20,   30,  40,  50,  60,  120, 240, 480, 960, 1920, 7680};
const Buckets kTokens = {1,    2,    5,     10,    20,    50,     100,    200,    500,    1000,
                         2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000};
/// Where an estimate was right it is 1; within 30 %: between 0.7 and 1.3.
const Buckets kRatio = {0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0, 1.15, 1.3, 1.5, 2.0, 3.0, 5.0, 10.0};
const Buckets kFew = {1, 2, 5, 10, 20, 50, 100};

Labels of(const std::string& model) { return {{"model_name", model}, {"engine", "0"}}; }

std::string_view reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "abort";
    case FinishReason::kDeadline:
      return "deadline";
    case FinishReason::kError:
      return "error";
  }
  return "error";
}
}  // namespace

struct Metrics::Impl {
  using Counters = prometheus::Family<prometheus::Counter>;
  using Gauges = prometheus::Family<prometheus::Gauge>;
  using Histograms = prometheus::Family<prometheus::Histogram>;

  Gauges& gauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
  Counters& counter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  Histograms& histogram(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }

  prometheus::Registry registry;
  std::mutex mutex;  // of take(): counters move by differences
  Gauges& running = gauge("vllm:num_requests_running", "Requests being computed.");
  Gauges& waiting = gauge("vllm:num_requests_waiting", "Requests in the queue.");
  Gauges& cache_use = gauge("vllm:kv_cache_usage_perc", "Used part of the KV cache, 0 to 1.");
  Counters& prompt_tokens = counter("vllm:prompt_tokens_total", "Prompt tokens computed.");
  Counters& generated_tokens = counter("vllm:generation_tokens_total", "Tokens generated.");
  Counters& cached_tokens = counter("vllm:prompt_tokens_cached_total", "Prompt tokens found in the cache.");
  Counters& success = counter("vllm:request_success_total", "Answers completed, by why they ended.");
  Histograms& first_token = histogram("vllm:time_to_first_token_seconds", "Arrival to first token.");
  Histograms& token_gap = histogram("vllm:inter_token_latency_seconds", "Time between tokens of an answer.");
  Histograms& per_token = histogram("vllm:request_time_per_output_token_seconds", "Decode time per token.");
  Histograms& total = histogram("vllm:e2e_request_latency_seconds", "Arrival to end.");
  Histograms& queue = histogram("vllm:request_queue_time_seconds", "Time waiting in the queue.");
  Histograms& inference = histogram("vllm:request_inference_time_seconds", "Time being computed.");
  Histograms& prefill = histogram("vllm:request_prefill_time_seconds", "Time reading the prompt.");
  Histograms& decode = histogram("vllm:request_decode_time_seconds", "Time writing the answer.");
  Histograms& prompt_size = histogram("vllm:request_prompt_tokens", "Prompt tokens of a request.");
  Histograms& answer_size = histogram("vllm:request_generation_tokens", "Generated tokens of an answer.");
  Histograms& estimate =
      histogram("deepwell:queue_estimate_ratio",
                "Time in the queue as first estimated, over what it was (waits over 1 s).");
  Counters& prefix_asked = counter("vllm:prefix_cache_queries_total", "Prompt tokens looked for.");
  Counters& prefix_found = counter("vllm:prefix_cache_hits_total", "Prompt tokens found.");
  Gauges& prefix_pages = gauge("deepwell:prefix_cache_pages", "Pages that only the prefix cache holds.");
  Counters& disk_found =
      counter("deepwell:prefix_disk_tokens_total", "Prompt tokens read from the disk tier.");
  Counters& disk_written = counter("deepwell:prefix_disk_written_bytes_total",
                                   "Bytes written to the disk tier of the prefix cache.");
  Gauges& disk_bytes = gauge("deepwell:prefix_disk_bytes", "Size of the disk tier of the prefix cache.");
  Counters& drafted = counter("vllm:spec_decode_num_draft_tokens_total", "Tokens guessed and verified.");
  Counters& accepted =
      counter("vllm:spec_decode_num_accepted_tokens_total", "Guessed tokens that came true.");
  Counters& preemptions = counter("vllm:num_preemptions_total", "Sequences put aside for others.");
  Counters& swapped = counter("deepwell:swapped_bytes_total", "Cache copied out of the pool.");
  Counters& failed = counter("deepwell:requests_failed_total", "Requests that the engine could not compute.");
  Gauges& stalled =
      gauge("deepwell:engine_stalled_seconds", "Since the engine last came by with work to do.");
  Counters& spans = counter("deepwell:spans_total", "Spans for the collector of traces, sent and dropped.");
  Histograms& params_n = histogram("vllm:request_params_n", "The request's n.");
  Histograms& params_max = histogram("vllm:request_params_max_tokens", "The request's max_tokens.");
  Counters& http = counter("deepwell:http_requests_total", "HTTP requests, by route and status.");
  Counters& refused =
      counter("deepwell:requests_refused_total", "Requests refused because the queue was full.");
  Counters& cancelled = counter("deepwell:requests_cancelled_total", "Requests whose client left.");
  Counters& audit_lost = counter("deepwell:audit_lines_lost_total", "Audit lines that could not be kept.");
  Gauges& audit_waiting = gauge("deepwell:audit_lines_waiting", "Audit lines not on the disk yet.");
  Histograms& step_sizes = histogram("vllm:iteration_tokens_total", "Tokens of a forward pass.");
  std::map<std::string, EngineStats> seen;  // of each model, at the last take()
  Counters& steps = counter("deepwell:engine_steps_total", "Forward passes of the model.");
  Counters& engine_busy = counter("deepwell:engine_busy_seconds_total", "Time the engine was computing.");
  prometheus::Gauge& memory =
      gauge("process_resident_memory_bytes", "Resident memory size in bytes.").Add({});
  prometheus::Gauge& started =
      gauge("process_start_time_seconds", "Start time of the process since the epoch, in seconds.").Add({});
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {
  impl_->started.Set(
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
}
Metrics::~Metrics() = default;

void Metrics::observe(const Generation& generation) {
  Impl& all = *impl_;
  const Labels labels = of(generation.model);
  const GenerationFinish& finish = generation.finish;
  Labels with_reason = labels;
  with_reason["finished_reason"] = std::string(reason_name(finish.reason));
  all.success.Add(with_reason).Increment();
  all.total.Add(labels, kLatency).Observe(generation.total_seconds);
  all.queue.Add(labels, kLatency).Observe(finish.queue_seconds);
  if (finish.estimated_queue_seconds >= 0 && finish.queue_seconds >= 1)
    all.estimate.Add(labels, kRatio).Observe(finish.estimated_queue_seconds / finish.queue_seconds);
  all.prefill.Add(labels, kLatency).Observe(finish.prefill_seconds);
  all.decode.Add(labels, kLatency).Observe(finish.decode_seconds);
  all.inference.Add(labels, kLatency).Observe(finish.prefill_seconds + finish.decode_seconds);
  all.prompt_size.Add(labels, kTokens).Observe(static_cast<double>(finish.prompt_tokens));
  all.answer_size.Add(labels, kTokens).Observe(static_cast<double>(finish.generated_tokens));
  all.cached_tokens.Add(labels).Increment(static_cast<double>(finish.cached_tokens));
  if (generation.max_tokens >= 0) {
    all.params_max.Add(labels, kTokens).Observe(static_cast<double>(generation.max_tokens));
  }
  if (generation.first_token_seconds >= 0)
    all.first_token.Add(labels, kFirstToken).Observe(generation.first_token_seconds);
  if (finish.generated_tokens > 1) {
    all.per_token.Add(labels, kTokenGap)
        .Observe(finish.decode_seconds / static_cast<double>(finish.generated_tokens - 1));
  }
}

void Metrics::observe_token_gap(const std::string& model, double seconds) {
  impl_->token_gap.Add(of(model), kTokenGap).Observe(seconds);
}

void Metrics::observe_choices(const std::string& model, int choices) {
  impl_->params_n.Add(of(model), kFew).Observe(choices);
}

void Metrics::count_http(const std::string& method, const std::string& route, int status) {
  impl_->http.Add({{"method", method}, {"route", route}, {"status", std::to_string(status)}}).Increment();
}

void Metrics::count_refused(const std::string& model) { impl_->refused.Add(of(model)).Increment(); }

void Metrics::take_spans(std::int64_t sent, std::int64_t dropped) {
  const std::lock_guard lock(impl_->mutex);
  for (const auto& [what, count] : {std::pair("sent", sent), std::pair("dropped", dropped)}) {
    prometheus::Counter& counter = impl_->spans.Add({{"outcome", what}});
    if (static_cast<double>(count) > counter.Value())
      counter.Increment(static_cast<double>(count) - counter.Value());
  }
}

void Metrics::take_audit(std::uint64_t lost, std::size_t waiting) {
  const std::lock_guard lock(impl_->mutex);
  prometheus::Counter& counter = impl_->audit_lost.Add({});
  if (const auto value = static_cast<double>(lost); value > counter.Value())
    counter.Increment(value - counter.Value());
  impl_->audit_waiting.Add({}).Set(static_cast<double>(waiting));
}

void Metrics::take(const std::string& model, const EngineStats& stats) {
  const std::lock_guard lock(impl_->mutex);
  const Labels labels = of(model);
  impl_->running.Add(labels).Set(stats.running);
  impl_->waiting.Add(labels).Set(stats.waiting);
  impl_->cache_use.Add(labels).Set(stats.pages_total > 0 ? static_cast<double>(stats.pages_used) /
                                                               static_cast<double>(stats.pages_total)
                                                         : 0);
  EngineStats& last = impl_->seen[model];
  if (stats.steps < last.steps) last = {};  // the model was loaded anew
  const auto count = [&](Impl::Counters& family, auto EngineStats::*field) {
    prometheus::Counter& counter = family.Add(labels);
    if (stats.*field > last.*field) counter.Increment(static_cast<double>(stats.*field - last.*field));
  };
  count(impl_->prompt_tokens, &EngineStats::prompt_tokens);
  count(impl_->generated_tokens, &EngineStats::generated_tokens);
  count(impl_->prefix_asked, &EngineStats::prefix_asked_tokens);
  count(impl_->prefix_found, &EngineStats::prefix_found_tokens);
  count(impl_->drafted, &EngineStats::draft_tokens);
  count(impl_->accepted, &EngineStats::draft_tokens_right);
  count(impl_->disk_found, &EngineStats::prefix_disk_found_tokens);
  count(impl_->disk_written, &EngineStats::prefix_disk_written_bytes);
  impl_->disk_bytes.Add(labels).Set(static_cast<double>(stats.prefix_disk_bytes));
  count(impl_->preemptions, &EngineStats::preemptions);
  count(impl_->swapped, &EngineStats::swapped_bytes);
  count(impl_->failed, &EngineStats::failed);
  impl_->prefix_pages.Add(labels).Set(static_cast<double>(stats.pages_spare));
  impl_->stalled.Add(labels).Set(stats.stalled_seconds);
  count(impl_->cancelled, &EngineStats::cancelled);
  count(impl_->steps, &EngineStats::steps);
  count(impl_->engine_busy, &EngineStats::busy_seconds);
  std::vector<double> steps;
  for (std::size_t i = 0; i < stats.steps_by_size.size(); ++i)
    steps.push_back(static_cast<double>(stats.steps_by_size[i] - last.steps_by_size[i]));
  const std::int64_t tokens =
      stats.prompt_tokens + stats.generated_tokens - last.prompt_tokens - last.generated_tokens;
  impl_->step_sizes.Add(labels, Buckets(EngineStats::kStepSizes.begin(), EngineStats::kStepSizes.end()))
      .ObserveMultiple(steps, static_cast<double>(tokens));
  last = stats;
}

std::string Metrics::text() const {
  impl_->memory.Set(static_cast<double>(resident_memory_bytes()));
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace deepwell
