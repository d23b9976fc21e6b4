// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/http/server.h"
#include "server/access/api_keys.h"
#include "server/app/gate.h"
#include "server/app/service.h"

namespace deepwell {

struct AppOptions {
  http::ServerOptions http;
  std::optional<ApiKeys> keys;  ///< none: everybody may do everything
  std::string keys_path;        ///< where they came from: a change is taken over within a second; "": never
  HostNames host_names;
  /// A second door, for what only admins may call; the first one then lacks it.
  struct AdminDoor {
    http::ServerOptions http;
    HostNames host_names;
  };
  std::optional<AdminDoor> admin;
  bool log_json = false;
  std::function<void(const std::string& line)> log;  ///< one line a request; empty: none
};

/// The service on a port: routes, keys, CORS, errors, the request log.
class App {
 public:
  static Result<std::unique_ptr<App>> start(AppOptions options, Service& service);
  ~App();  ///< stop at once
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  std::uint16_t port() const;
  std::uint16_t admin_port() const;  ///< 0: there is none
  /// Refuses new work with 503, lets answers under way end within `grace`, then closes everything.
  void drain(std::chrono::milliseconds grace);

 private:
  struct Impl;
  explicit App(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace deepwell
