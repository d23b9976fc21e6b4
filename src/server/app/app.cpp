// SPDX-License-Identifier: Apache-2.0
#include "server/app/app.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <string_view>
#include <thread>

#include "net/http/router.h"
#include "server/app/answer.h"
#include "server/app/endpoint.h"
#include "server/app/gate.h"
#include "server/app/ollama.h"
#include "server/app/request_log.h"
#include "server/app/stamped_exchange.h"

namespace deepwell {
namespace {
using Clock = std::chrono::steady_clock;

/// A port and what is behind it. Routes are tagged with their place in all_endpoints().
struct Door {
  http::ServerOptions options;
  HostNames host_names;
  http::Router router;
  std::unique_ptr<http::Server> server;
};

void answer_options(const http::Request& request, http::Exchange& exchange, const std::string& allow,
                    bool cross_origin) {
  http::Response response;
  response.status = 204;
  response.headers.push_back({"Allow", allow.empty() ? "GET, HEAD, POST, OPTIONS" : allow});
  if (cross_origin && !request.header("access-control-request-method").empty()) {
    response.headers.push_back({"Access-Control-Allow-Methods", allow});
    const std::string_view wanted = request.header("access-control-request-headers");
    response.headers.push_back({"Access-Control-Allow-Headers",
                                wanted.empty() ? "Authorization, Content-Type" : std::string(wanted)});
    response.headers.push_back({"Access-Control-Max-Age", "600"});
  }
  exchange.reply(std::move(response));
}

/// For a request that no endpoint takes.
http::Response wrong_address(const http::Request& request, const std::string& allow) {
  Call::ErrorBody body = to_json;
  if (request.path.starts_with("/api/")) body = ollama_error;
  if (allow.empty()) {
    ApiError error = http_error(404, fmt::format("there is nothing at {} {}; the API is under /v1",
                                                 spoken(request.method), spoken(request.path)));
    error.code = "unknown_url";
    return error_response(error, body);
  }
  ApiError error = http_error(
      405, fmt::format("{} does not take {}; use {}", spoken(request.path), spoken(request.method), allow));
  error.code = "method_not_allowed";
  http::Response response = error_response(error, body);
  response.headers.push_back({"Allow", allow});
  return response;
}

}  // namespace

struct App::Impl {
  Impl(AppOptions given, Service& its_service)
      : options(std::move(given)),
        service(its_service),
        gate(std::move(options.keys), options.keys_path, options.log) {}

  Status open(Door& door, bool users, bool admins);
  void handle(const Door& door, std::shared_ptr<http::Exchange> exchange);
  void note(const RequestRecord& record, LogFields& fields);

  AppOptions options;
  Service& service;
  Gate gate;
  std::atomic<int> open_exchanges{0};  ///< not yet complete
  Door front, side;                    ///< last: their threads use the rest
};

Status App::Impl::open(Door& door, bool users, bool admins) {
  int tag = 0;
  for (const Endpoint& endpoint : all_endpoints()) {
    const bool for_admins = endpoint.access == Access::kAdmin;
    const bool everywhere = std::string_view(endpoint.path) == "/health";
    if (everywhere || (for_admins ? admins : users)) door.router.add(endpoint.method, endpoint.path, tag);
    ++tag;
  }
  door.options.error_page = [](int status, std::string message) {
    return error_response(http_error(status, std::move(message)));
  };
  DW_TRY(door.server,
         http::Server::start(door.options, [this, &door](std::shared_ptr<http::Exchange> exchange) {
           handle(door, std::move(exchange));
         }));
  return Done{};
}

void App::Impl::handle(const Door& door, std::shared_ptr<http::Exchange> exchange) {
  http::Request& request = exchange->request();
  const auto arrived = Clock::now();
  const http::Router::Match match = door.router.find(request);
  const Endpoint* endpoint = match.tag < 0 ? nullptr : &all_endpoints()[static_cast<std::size_t>(match.tag)];
  auto fields = std::make_shared<LogFields>();
  // The request's own strings die with the exchange, which is gone when this is written down.
  auto record = std::make_shared<RequestRecord>();
  record->arrived = std::chrono::system_clock::now();
  record->id = "req_" + random_id();
  record->method = request.method;
  record->path = request.path;
  record->route = endpoint == nullptr ? "other" : endpoint->path;
  record->remote = request.remote;
  exchange->on_complete([this, record, arrived, fields](int status, std::size_t bytes) {
    --open_exchanges;
    record->status = status;
    record->bytes = bytes;
    record->seconds = std::chrono::duration<double>(Clock::now() - arrived).count();
    note(*record, *fields);
  });
  ++open_exchanges;

  if (request.method == "OPTIONS" && (!match.allow.empty() || request.path == "*"))
    return answer_options(request, *exchange, match.allow, !door.options.cors_origins.empty());
  if (endpoint == nullptr) return exchange->reply(wrong_address(request, match.allow));
  Visitor visitor;
  const std::optional<ApiError> refusal =
      gate.refuse(request, endpoint->access, door.host_names, door.options.cors_origins, visitor);
  record->user = visitor.user;
  record->user_name = visitor.user_name;
  if (!refusal && service.audit && service.audit_text) {
    fields->keeps_text = true;
    fields->question = request.body;
  }
  record->audited = refusal || endpoint->access != Access::kPublic;
  auto stamped = std::make_shared<StampedExchange>(std::move(exchange), record->id, visitor.lease);
  if (refusal) return stamped->reply(error_response(*refusal, endpoint->error_body));
  Call call{service, std::move(stamped), fields, arrived, endpoint->error_body, visitor.user, visitor.lease};
  call.error_event = endpoint->error_event;
  endpoint->run(call);
}

void App::Impl::note(const RequestRecord& record, LogFields& fields) {
  service.metrics.count_http(record.method.size() > 10 ? "other" : record.method, record.route,
                             record.status);
  if (service.audit && record.audited) service.audit->write(audit_line(record, fields));
  if (options.log) options.log(options.log_json ? json_line(record, fields) : text_line(record, fields));
}

Result<std::unique_ptr<App>> App::start(AppOptions options, Service& service) {
  auto impl = std::make_unique<Impl>(std::move(options), service);
  const bool two_doors = impl->options.admin.has_value();
  impl->front.options = impl->options.http;
  impl->front.host_names = impl->options.host_names;
  DW_RETURN_IF_ERROR(impl->open(impl->front, true, !two_doors));
  if (two_doors) {
    impl->side.options = impl->options.admin->http;
    impl->side.host_names = impl->options.admin->host_names;
    DW_RETURN_IF_ERROR(impl->open(impl->side, false, true));
  }
  return std::unique_ptr<App>(new App(std::move(impl)));
}

App::App(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

App::~App() {
  for (Door* door : {&impl_->front, &impl_->side})
    if (door->server) door->server->stop(std::chrono::milliseconds(0));
}

std::uint16_t App::port() const { return impl_->front.server->port(); }

std::uint16_t App::admin_port() const { return impl_->side.server ? impl_->side.server->port() : 0; }

void App::drain(std::chrono::milliseconds grace) {
  impl_->service.set_phase(Phase::kDraining);
  const auto deadline = Clock::now() + grace;
  // Still listening: a balancer that asks /health learns that it should look elsewhere.
  const auto wait_until = [this](Clock::time_point end) {
    while ((impl_->open_exchanges > 0 || impl_->service.busy() > 0) && Clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  };
  // The last of the time is for telling those that did not make it.
  wait_until(deadline - std::min<Clock::duration>(grace / 5, std::chrono::seconds(1)));
  impl_->service.give_up_all();
  wait_until(deadline);
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  impl_->front.server->stop(std::clamp(left, std::chrono::milliseconds(0), std::chrono::milliseconds(1000)));
  if (impl_->side.server) impl_->side.server->stop(std::chrono::milliseconds(0));
}

}  // namespace deepwell
