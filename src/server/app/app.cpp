// SPDX-License-Identifier: Apache-2.0
#include "server/app/app.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "net/http/router.h"
#include "server/app/endpoint.h"

namespace deepwell {
namespace {
using Clock = std::chrono::steady_clock;

ApiError http_error(int status, std::string message) {
  ApiError error;
  error.status = status;
  error.message = std::move(message);
  if (status >= 500) error.type = "server_error";
  return error;
}

/// The key a request brings, as OpenAI's clients send it or as Anthropic's do.
std::string_view key_of(const http::Request& request) {
  std::string_view value = request.header("authorization");
  if (value.size() > 7 && http::equal_ignoring_case(value.substr(0, 7), "Bearer ")) return value.substr(7);
  return request.header("x-api-key");
}

/// A web page of another site asks, and no --cors lets it. (It could not read the answer, but it could make
/// this machine work.)
bool is_foreign_page(const http::Request& request, const std::vector<std::string>& allowed) {
  std::string_view origin = request.header("origin");
  if (origin.empty()) return false;
  for (const std::string& one : allowed) {
    if (one == "*" || one == origin) return false;
  }
  const auto scheme = origin.find("://");
  if (scheme != std::string_view::npos) origin.remove_prefix(scheme + 3);
  return !http::equal_ignoring_case(origin, request.header("host"));
}

/// Whether the Host header names this machine as its own user would, or by one of `names`.
bool is_known_host(std::string_view host, const std::vector<std::string>& names) {
  if (host.empty()) return true;  // no browser
  const std::size_t port = host.starts_with('[') ? host.find(']') : host.rfind(':');
  if (host.starts_with('[')) {
    host = port == std::string_view::npos ? host : host.substr(0, port + 1);
  } else if (port != std::string_view::npos) {
    host = host.substr(0, port);
  }
  if (http::equal_ignoring_case(host, "localhost") || host == "[::1]") return true;
  if (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos)
    return true;
  return std::any_of(names.begin(), names.end(),
                     [host](const std::string& name) { return http::equal_ignoring_case(host, name); });
}

/// A path as it may stand in a log: nothing that could forge a line or fill a disk.
std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 200)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  return out;
}

}  // namespace

struct App::Impl {
  Impl(AppOptions given, Service& its_service) : options(std::move(given)), service(its_service) {
    int tag = 0;
    for (const Endpoint& endpoint : all_endpoints()) router.add(endpoint.method, endpoint.path, tag++);
  }

  void handle(const std::shared_ptr<http::Exchange>& exchange);
  void answer_options(const http::Request& request, http::Exchange& exchange, const std::string& allow) const;
  void write_log(const http::Request& request, const std::string& route, int status, std::size_t bytes,
                 double seconds, LogFields& fields);

  bool is_allowed(std::string_view key) {
    const std::lock_guard lock(keys_mutex);
    return options.keys->allows(key);
  }
  void reload_keys();

  AppOptions options;
  Service& service;
  std::mutex keys_mutex;  ///< guards options.keys' value and what follows
  Clock::time_point keys_seen{};
  std::filesystem::file_time_type keys_changed{};
  http::Router router;
  std::unique_ptr<http::Server> server;
  std::atomic<int> open{0};  ///< exchanges not yet complete
};

void App::Impl::handle(const std::shared_ptr<http::Exchange>& exchange) {
  http::Request& request = exchange->request();
  const auto arrived = Clock::now();
  const http::Router::Match match = router.find(request);
  const Endpoint* endpoint = match.tag < 0 ? nullptr : &all_endpoints()[static_cast<std::size_t>(match.tag)];
  const std::string route = endpoint == nullptr ? "other" : endpoint->path;
  auto fields = std::make_shared<LogFields>();
  ++open;
  // The request's own strings die with the exchange, which is gone when this is called: keep what the log
  // needs.
  http::Request brief;
  brief.method = request.method;
  brief.path = request.path;
  brief.remote = request.remote;
  exchange->on_complete(
      [this, brief = std::move(brief), route, arrived, fields](int status, std::size_t bytes) {
        const double seconds = std::chrono::duration<double>(Clock::now() - arrived).count();
        service.metrics.count_http(brief.method.size() > 10 ? "other" : brief.method, route, status);
        write_log(brief, route, status, bytes, seconds, *fields);
        --open;
      });

  if (request.method == "OPTIONS" && (!match.allow.empty() || request.path == "*")) {
    return answer_options(request, *exchange, match.allow);
  }
  if (endpoint == nullptr) {
    if (match.allow.empty()) {
      ApiError error = http_error(404, fmt::format("there is nothing at {} {}; the API is under /v1",
                                                   printable(request.method), printable(request.path)));
      error.code = "unknown_url";
      return exchange->reply(error_response(error));
    }
    ApiError error = http_error(405, fmt::format("{} does not take {}; use {}", printable(request.path),
                                                 printable(request.method), match.allow));
    error.code = "method_not_allowed";
    http::Response response = error_response(error);
    response.headers.push_back({"Allow", match.allow});
    return exchange->reply(std::move(response));
  }
  if (options.host_names && !is_known_host(request.header("host"), *options.host_names)) {
    ApiError error =
        http_error(403, fmt::format("this server is not called '{}'; its operator can allow the name with "
                                    "--host-name",
                                    printable(request.header("host"))));
    error.type = "permission_error";
    error.code = "host_not_allowed";
    return exchange->reply(error_response(error, endpoint->error_body));
  }
  if (is_foreign_page(request, options.http.cors_origins)) {
    ApiError error =
        http_error(403, fmt::format("pages of {} may not use this server; its operator can allow them "
                                    "with --cors",
                                    printable(request.header("origin"))));
    error.type = "permission_error";
    error.code = "origin_not_allowed";
    return exchange->reply(error_response(error, endpoint->error_body));
  }
  if (options.keys) reload_keys();
  if (endpoint->access == Access::kUser && options.keys && !is_allowed(key_of(request))) {
    ApiError error = http_error(401, "this server wants an API key: send it as 'Authorization: Bearer KEY'");
    error.type = "authentication_error";
    error.code = "invalid_api_key";
    return exchange->reply(error_response(error, endpoint->error_body));
  }
  const std::string user = options.keys ? ApiKeys::user_of(key_of(request)) : std::string();
  endpoint->run(Call{service, exchange, fields, arrived, endpoint->error_body, user});
}

// A file that cannot be used leaves the keys as they were, and says so in the log.
void App::Impl::reload_keys() {
  if (options.keys_path.empty()) return;
  const std::lock_guard lock(keys_mutex);
  const auto now = Clock::now();
  if (keys_seen != Clock::time_point{} && now - keys_seen < std::chrono::milliseconds(500)) return;
  const bool first = keys_seen == Clock::time_point{};
  keys_seen = now;
  std::error_code error;
  const auto changed = std::filesystem::last_write_time(options.keys_path, error);
  if (error || changed == std::exchange(keys_changed, changed) || first) return;
  Result<ApiKeys> keys = ApiKeys::load(options.keys_path);
  if (keys) options.keys = std::move(*keys);
  if (!options.log) return;
  options.log(keys ? "the API keys were read again"
                   : "the API keys stay as they were: " + keys.error().message);
}

void App::Impl::answer_options(const http::Request& request, http::Exchange& exchange,
                               const std::string& allow) const {
  http::Response response;
  response.status = 204;
  response.headers.push_back({"Allow", allow.empty() ? "GET, HEAD, POST, OPTIONS" : allow});
  if (!options.http.cors_origins.empty() && !request.header("access-control-request-method").empty()) {
    response.headers.push_back({"Access-Control-Allow-Methods", allow});
    const std::string_view wanted = request.header("access-control-request-headers");
    response.headers.push_back({"Access-Control-Allow-Headers",
                                wanted.empty() ? "Authorization, Content-Type" : std::string(wanted)});
    response.headers.push_back({"Access-Control-Max-Age", "600"});
  }
  exchange.reply(std::move(response));
}

void App::Impl::write_log(const http::Request& request, const std::string& route, int status,
                          std::size_t bytes, double seconds, LogFields& fields) {
  if (!options.log) return;
  const std::lock_guard lock(fields.mutex);
  if (options.log_json) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    nlohmann::json line = {{"time", std::chrono::duration<double>(now).count()},
                           {"method", printable(request.method)},
                           {"path", printable(request.path)},
                           {"route", route},
                           {"status", status},
                           {"bytes", bytes},
                           {"seconds", seconds},
                           {"remote", request.remote}};
    if (!fields.model.empty()) {
      line["model"] = fields.model;
      line["prompt_tokens"] = fields.prompt_tokens;
      line["generated_tokens"] = fields.generated_tokens;
      line["finish"] = fields.finish;
    }
    return options.log(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  std::string line = fmt::format("{} {} {} {:.3f} s {}", printable(request.method), printable(request.path),
                                 status, seconds, request.remote);
  if (!fields.model.empty()) {
    line += fmt::format(" {} prompt {} answer {} {}", fields.model, fields.prompt_tokens,
                        fields.generated_tokens, fields.finish);
  }
  options.log(line);
}

Result<std::unique_ptr<App>> App::start(AppOptions options, Service& service) {
  options.http.error_page = [](int status, std::string message) {
    return error_response(http_error(status, std::move(message)));
  };
  auto impl = std::make_unique<Impl>(std::move(options), service);
  Impl* raw = impl.get();
  DW_TRY(impl->server,
         http::Server::start(impl->options.http, [raw](const std::shared_ptr<http::Exchange>& exchange) {
           raw->handle(exchange);
         }));
  return std::unique_ptr<App>(new App(std::move(impl)));
}

App::App(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

App::~App() { impl_->server->stop(std::chrono::milliseconds(0)); }

std::uint16_t App::port() const { return impl_->server->port(); }

void App::drain(std::chrono::milliseconds grace) {
  impl_->service.set_phase(Phase::kDraining);
  const auto deadline = Clock::now() + grace;
  // Still listening: a balancer that asks /health learns that it should look elsewhere.
  while ((impl_->open > 0 || impl_->service.busy() > 0) && Clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  impl_->server->stop(std::clamp(left, std::chrono::milliseconds(0), std::chrono::milliseconds(1000)));
}

}  // namespace deepwell
