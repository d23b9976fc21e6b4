// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "net/http/exchange.h"
#include "server/access/key_usage.h"

namespace deepwell {

/// The same exchange, whose answer carries the request's id and what its key has left (in the names of
/// OpenAI's headers), and which frees its key's place just before the last byte leaves.
class StampedExchange final : public http::Exchange {
 public:
  /// `lease`: nullptr where no limits are.
  StampedExchange(std::shared_ptr<http::Exchange> inner, std::string request_id,
                  std::shared_ptr<KeyLease> lease)
      : inner_(std::move(inner)), request_id_(std::move(request_id)), lease_(std::move(lease)) {}
  ~StampedExchange() override { let_go(); }
  StampedExchange(const StampedExchange&) = delete;
  StampedExchange& operator=(const StampedExchange&) = delete;

  const http::Request& request() const override { return inner_->request(); }
  http::Request& request() override { return inner_->request(); }
  void reply(http::Response response) override;
  void hold(http::Response head) override;
  void begin_stream(http::Response head) override;
  void send(std::string bytes) override { inner_->send(std::move(bytes)); }
  void end() override;
  void on_disconnect(std::function<void()> gone) override { inner_->on_disconnect(std::move(gone)); }
  bool disconnected() const override { return inner_->disconnected(); }
  bool streaming() const override { return inner_->streaming(); }
  void on_complete(std::function<void(int, std::size_t)> done) override {
    inner_->on_complete(std::move(done));
  }

 private:
  void stamp(http::Response& response) const;
  void let_go() {
    if (lease_) lease_->release();
  }

  const std::shared_ptr<http::Exchange> inner_;
  const std::string request_id_;
  const std::shared_ptr<KeyLease> lease_;
};

}  // namespace deepwell
