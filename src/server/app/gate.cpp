// SPDX-License-Identifier: Apache-2.0
#include "server/app/gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/human.h"

namespace deepwell {
namespace {

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

ApiError forbidden(const char* code, std::string message) {
  ApiError error = http_error(403, std::move(message));
  error.type = "permission_error";
  error.code = code;
  return error;
}

}  // namespace

std::string spoken(std::string_view text) { return printable(text, 200); }

ApiError http_error(int status, std::string message) {
  ApiError error;
  error.status = status;
  error.message = std::move(message);
  if (status >= 500) error.type = "server_error";
  return error;
}

ApiError over_limit(const KeyUsage::Refusal& refusal) {
  ApiError error = http_error(429, "");
  error.type = "rate_limit_error";
  error.code = "rate_limit_exceeded";
  error.retry_after_seconds = static_cast<int>(std::clamp(std::ceil(refusal.retry_seconds), 1.0, 86400.0));
  error.message = fmt::format("{}; try again in {} s", refusal.message, error.retry_after_seconds);
  return error;
}

Gate::Gate(std::optional<ApiKeys> keys, const std::string& keys_path,
           std::function<void(const std::string&)> report)
    : keys_(keys ? std::make_unique<KeyRing>(std::move(*keys), keys_path, std::move(report)) : nullptr) {}

std::optional<ApiError> Gate::refuse(const http::Request& request, Access access, const HostNames& host_names,
                                     const std::vector<std::string>& cors_origins, Visitor& visitor) {
  if (host_names && !is_known_host(request.header("host"), *host_names)) {
    return forbidden("host_not_allowed",
                     fmt::format("this server is not called '{}'; its operator can allow the name with "
                                 "--host-name",
                                 spoken(request.header("host"))));
  }
  if (is_foreign_page(request, cors_origins)) {
    return forbidden("origin_not_allowed",
                     fmt::format("pages of {} may not use this server; its operator can allow them with "
                                 "--cors",
                                 spoken(request.header("origin"))));
  }
  return keys_ ? identify(request, access, visitor) : std::nullopt;
}

std::optional<ApiError> Gate::identify(const http::Request& request, Access access, Visitor& visitor) {
  const std::shared_ptr<const ApiKeys> keys = keys_->now();
  const ApiKey* key = keys->find(key_of(request));
  if (key != nullptr) {
    visitor.user = key->id();
    visitor.user_name = key->name.empty() ? visitor.user : key->name;
  }
  if (access == Access::kPublic) return std::nullopt;
  if (key == nullptr) {
    ApiError error = http_error(401, "this server wants an API key: send it as 'Authorization: Bearer KEY'");
    error.type = "authentication_error";
    error.code = "invalid_api_key";
    return error;
  }
  if (access == Access::kAdmin && key->role != Role::kAdmin) {
    return forbidden("admin_only", "this is for admins; the operator can give a key role=admin");
  }
  // What only looks costs next to nothing: limits are for what makes work.
  if (request.method != "POST" || key->limits == KeyLimits()) return std::nullopt;
  std::optional<KeyUsage::Refusal> refusal;
  visitor.lease = usages_.of(visitor.user)->enter(key->limits, std::chrono::steady_clock::now(), refusal);
  if (refusal) return over_limit(*refusal);
  return std::nullopt;
}

}  // namespace deepwell
