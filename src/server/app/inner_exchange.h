// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "net/http/exchange.h"

namespace deepwell {

/// A request that this server makes of itself: its answer, whole, goes to `done`, once.
class InnerExchange final : public http::Exchange {
 public:
  using Done = std::function<void(int status, std::string body)>;
  InnerExchange(http::Request request, Done done) : request_(std::move(request)), done_(std::move(done)) {}
  ~InnerExchange() override { settle(500, R"({"error":{"message":"the request was dropped"}})"); }

  /// As if the client had left. The answer may come at once, from within.
  void give_up();

  const http::Request& request() const override { return request_; }
  http::Request& request() override { return request_; }
  void reply(http::Response response) override { settle(response.status, std::move(response.body)); }
  void hold(http::Response /*head*/) override {}
  void begin_stream(http::Response /*head*/) override {}
  void send(std::string /*bytes*/) override {}
  void end() override { settle(500, R"({"error":{"message":"this cannot be streamed"}})"); }
  void on_disconnect(std::function<void()> gone) override;
  bool disconnected() const override;
  bool streaming() const override { return false; }
  void on_complete(std::function<void(int, std::size_t)> /*done*/) override {}

 private:
  void settle(int status, std::string body);

  http::Request request_;
  mutable std::mutex mutex_;
  Done done_;
  std::function<void()> gone_;
  bool given_up_ = false;
};

}  // namespace deepwell
