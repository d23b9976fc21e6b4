// SPDX-License-Identifier: Apache-2.0
// Source: OpenTelemetry Protocol 1.x, "OTLP/HTTP" and its JSON encoding; W3C Trace Context.
#include "server/app/span_exporter.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>

#include "base/version.h"

namespace deepwell {
namespace {
using nlohmann::json;
constexpr std::size_t kWaitingMax = 4096, kAtOnce = 512;
constexpr std::chrono::milliseconds kGather{1000};

std::string random_hex(std::size_t digits) {
  static std::mutex mutex;
  static std::mt19937_64 source{std::random_device{}()};
  const std::lock_guard lock(mutex);
  std::string out;
  while (out.size() < digits) out += fmt::format("{:016x}", source() | 1);
  return out.substr(0, digits);
}

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos &&
         text.find_first_not_of('0') != std::string_view::npos;
}

json value_of(const json& value) {
  if (value.is_string()) return {{"stringValue", value}};
  if (value.is_boolean()) return {{"boolValue", value}};
  if (value.is_number_integer()) return {{"intValue", fmt::format("{}", value.get<std::int64_t>())}};
  if (value.is_number()) return {{"doubleValue", value}};
  json list = json::array();
  for (const json& one : value) list.push_back(value_of(one));
  return {{"arrayValue", {{"values", std::move(list)}}}};
}

json attributes_of(const json& attributes) {
  json list = json::array();
  for (const auto& [key, value] : attributes.items())
    list.push_back({{"key", key}, {"value", value_of(value)}});
  return list;
}

json json_of(const Span& span) {
  json object = {{"traceId", span.trace_id.empty() ? random_hex(32) : span.trace_id},
                 {"spanId", random_hex(16)},
                 {"name", span.name},
                 {"kind", 2},  // server
                 {"startTimeUnixNano", fmt::format("{}", span.start_unix_ns)},
                 {"endTimeUnixNano", fmt::format("{}", span.end_unix_ns)},
                 {"attributes", attributes_of(span.attributes)}};
  if (!span.parent_id.empty()) object["parentSpanId"] = span.parent_id;
  if (!span.error.empty()) object["status"] = {{"code", 2}, {"message", span.error}};
  return object;
}

std::string body_of(std::deque<Span>::const_iterator first, std::deque<Span>::const_iterator last) {
  json spans = json::array();
  for (; first != last; ++first) spans.push_back(json_of(*first));
  const json service = attributes_of({{"service.name", "deepwell"}, {"service.version", version()}});
  return json({{"resourceSpans",
                {{{"resource", {{"attributes", service}}},
                  {"scopeSpans", {{{"scope", {{"name", "deepwell"}}}, {"spans", std::move(spans)}}}}}}}})
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

std::size_t ignore(char* /*bytes*/, std::size_t size, std::size_t count, void* /*unused*/) {
  return size * count;
}

}  // namespace

void read_traceparent(std::string_view header, Span& span) {
  // 00-TRACE-PARENT-FLAGS
  if (header.size() < 55 || header[2] != '-' || header[35] != '-' || header[52] != '-') return;
  const std::string_view trace = header.substr(3, 32), parent = header.substr(36, 16);
  if (!is_hex(trace) || !is_hex(parent)) return;
  span.trace_id = trace;
  span.parent_id = parent;
}

Result<std::unique_ptr<SpanExporter>> SpanExporter::open(const std::string& endpoint) {
  std::string url = endpoint;
  if (!url.starts_with("http://") && !url.starts_with("https://"))
    return Error{ErrorCode::kInvalid,
                 fmt::format("'{}' is no address of a collector; write it as http://HOST:4318", endpoint)};
  while (url.ends_with('/')) url.pop_back();
  if (!url.ends_with("/v1/traces")) url += "/v1/traces";
  curl_global_init(CURL_GLOBAL_DEFAULT);
  return std::unique_ptr<SpanExporter>(new SpanExporter(std::move(url)));
}

SpanExporter::SpanExporter(std::string url) : url_(std::move(url)), thread_([this] { work(); }) {}

SpanExporter::~SpanExporter() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void SpanExporter::add(Span span) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= kWaitingMax) {
    ++counts_.dropped;
    return;
  }
  waiting_.push_back(std::move(span));
  if (waiting_.size() == kAtOnce) changed_.notify_all();
}

SpanExporter::Counts SpanExporter::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

// What a collector does not take is tried once more with what has come meanwhile, then dropped: a collector
// that is down must not fill memory, nor get stale spans when it is back.
void SpanExporter::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait_for(lock, kGather, [this] { return stop_ || waiting_.size() >= kAtOnce; });
    if (waiting_.empty()) {
      if (stop_) return;
      continue;
    }
    const std::size_t count = std::min(waiting_.size(), kAtOnce);
    std::deque<Span> batch(std::make_move_iterator(waiting_.begin()),
                           std::make_move_iterator(waiting_.begin() + static_cast<std::ptrdiff_t>(count)));
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
    const bool last = stop_;
    lock.unlock();
    const std::string body = body_of(batch.begin(), batch.end());
    const bool sent = post(body, last ? 1000 : 10'000) || (!last && post(body, 10'000));
    lock.lock();
    (sent ? counts_.sent : counts_.dropped) += static_cast<std::int64_t>(count);
    if (!sent && stop_) {
      counts_.dropped += static_cast<std::int64_t>(waiting_.size());
      return;
    }
  }
}

bool SpanExporter::post(const std::string& body, long timeout_ms) const {
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
  if (curl == nullptr) return false;
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(
      curl_slist_append(nullptr, "Content-Type: application/json"), curl_slist_free_all);
  curl_easy_setopt(curl.get(), CURLOPT_URL, url_.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, ignore);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, timeout_ms);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  long status = 0;
  if (curl_easy_perform(curl.get()) != CURLE_OK) return false;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  return status >= 200 && status < 300;
}

}  // namespace deepwell
