// SPDX-License-Identifier: Apache-2.0
#include "server/app/with_model.h"

#include <fmt/format.h>

namespace deepwell {
namespace {

ApiError unavailable(const char* code, std::string message, int retry_after_seconds) {
  ApiError refusal;
  refusal.status = 503;
  refusal.type = "server_error";
  refusal.code = code;
  refusal.message = std::move(message);
  refusal.retry_after_seconds = retry_after_seconds;
  return refusal;
}

ApiError model_error(const Service& service, const std::string& name, const Error& error) {
  if (error.code == ErrorCode::kCancelled) return unavailable("draining", error.message, 10);
  if (service.models.find(name)) return unavailable("model_load_failed", error.message, 0);
  if (service.phase() == Phase::kLoading)
    return unavailable("loading", "this server is starting; try again in a moment", 2);
  ApiError unknown;
  unknown.status = 404;
  unknown.code = "model_not_found";
  unknown.param = "model";
  unknown.message = fmt::format("{}; served: {}", error.message, fmt::join(service.models.names(), ", "));
  return unknown;
}

}  // namespace

void with_model(const Call& call, ModelWish wish, std::function<void(ModelUse model)> then) {
  if (call.service.phase() == Phase::kDraining) {
    return call.reply_error(
        model_error(call.service, wish.name,
                    {ErrorCode::kCancelled, "this server is shutting down; try again when it is back"}));
  }
  const bool events = wish.stream_type == kEventStream;
  ModelPool::Waiter waiter;
  waiter.idle_seconds = wish.idle_seconds;
  waiter.left = [exchange = call.exchange] { return exchange->disconnected(); };
  if (events) {
    waiter.news = [exchange = call.exchange](const std::string& news) {
      exchange->send(": " + news + "\n\n");
    };
  }
  waiter.then = [call, name = wish.name, then = std::move(then)](Result<ModelUse> model) {
    if (!model) return call.reply_error(model_error(call.service, name, model.error()));
    then(std::move(*model));
  };
  if (call.service.models.use(wish.name, std::move(waiter))) return;
  if (events) {
    call.exchange->begin_stream(stream_head(wish.stream_type));
  } else if (wish.stream_type.empty()) {
    call.exchange->hold({.content_type = "application/json"});
  }
}

}  // namespace deepwell
