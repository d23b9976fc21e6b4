// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "net/http/exchange.h"
#include "server/access/key_usage.h"
#include "server/app/service.h"
#include "server/request/api_error.h"

namespace deepwell {

/// Who may call it when keys are set: everybody, whoever has a key, or whoever has an admin's. What is for
/// admins is served on the admin port alone when there is one.
enum class Access { kPublic, kUser, kAdmin };

/// What the log line of a request says beside method, path and status.
struct LogFields {
  std::mutex mutex;
  std::string model, finish;
  std::int64_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
  bool keeps_text = false;  ///< for an audit log that asks for it; set once, before the endpoint runs
  std::string question;     ///< the request's body
  std::vector<std::string> answers;  ///< one a choice
};

/// One request on its way through an endpoint; cheap to copy.
struct Call {
  using ErrorBody = std::string (*)(const ApiError& error);
  Service& service;
  std::shared_ptr<http::Exchange> exchange;
  std::shared_ptr<LogFields> log;
  std::chrono::steady_clock::time_point arrived;
  ErrorBody error_body = to_json;     ///< how the endpoint's API writes errors
  std::string user{};                 ///< whose key it is, as a digest; "" without keys
  std::shared_ptr<KeyLease> lease{};  ///< its key's limits; nullptr: none
  int priority = 0;                   ///< lower first; work that nobody waits for has a higher one
  std::string answer_id{};            ///< what the answer is to be called; "": a new name
  bool admitted = false;              ///< taken in before: a full queue is no reason to refuse it
  ErrorBody error_event = nullptr;    ///< the same where a stream had only begun; nullptr: as error_body

  const http::Request& request() const { return exchange->request(); }
  /// The body, which the request then no longer holds: an answer may take minutes.
  std::string take_body() const { return std::move(exchange->request().body); }
  void reply_json(std::string body, int status = 200) const;
  /// As the answer, or as the last event of a stream that has begun.
  void reply_error(const ApiError& error) const;
};

/// One file of api/ each. `path` as http::Router takes it.
struct Endpoint {
  const char* method;
  const char* path;
  Access access;
  void (*run)(const Call& call);
  Call::ErrorBody error_body = to_json;
  Call::ErrorBody error_event = nullptr;
};

const std::vector<Endpoint>& all_endpoints();

/// What a stream of that type begins with.
http::Response stream_head(std::string_view content_type);
http::Response error_response(const ApiError& error, Call::ErrorBody body = to_json);

}  // namespace deepwell
