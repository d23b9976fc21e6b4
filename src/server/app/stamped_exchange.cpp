// SPDX-License-Identifier: Apache-2.0
// Source of the headers' names: OpenAI API documentation, "Rate limits", "Rate limits in headers".
#include "server/app/stamped_exchange.h"

#include <fmt/format.h>

#include <cmath>

namespace deepwell {
namespace {

/// "6m0s", "1.5s", "120ms": how OpenAI writes it.
std::string duration(double seconds) {
  const auto ms = static_cast<std::int64_t>(std::ceil(seconds * 1000));
  if (ms < 1000) return fmt::format("{}ms", ms);
  const std::int64_t minutes = ms / 60'000;
  const double rest = static_cast<double>(ms % 60'000) / 1000;
  return minutes > 0 ? fmt::format("{}m{:g}s", minutes, rest) : fmt::format("{:g}s", rest);
}

}  // namespace

void StampedExchange::stamp(http::Response& response) const {
  response.headers.push_back({"x-request-id", request_id_});
  if (!lease_) return;
  const KeyUsage::Headroom room = lease_->headroom(std::chrono::steady_clock::now());
  const auto add = [&](const char* kind, std::int64_t limit, std::int64_t left, double reset_seconds) {
    if (limit == 0) return;
    response.headers.push_back({fmt::format("x-ratelimit-limit-{}", kind), std::to_string(limit)});
    response.headers.push_back({fmt::format("x-ratelimit-remaining-{}", kind), std::to_string(left)});
    response.headers.push_back({fmt::format("x-ratelimit-reset-{}", kind), duration(reset_seconds)});
  };
  add("requests", room.limits.requests_per_minute, room.requests_left, room.requests_reset_seconds);
  add("tokens", room.limits.tokens_per_minute, room.tokens_left, room.tokens_reset_seconds);
}

void StampedExchange::reply(http::Response response) {
  stamp(response);
  let_go();
  inner_->reply(std::move(response));
}

void StampedExchange::hold(http::Response head) {
  stamp(head);
  inner_->hold(std::move(head));
}

void StampedExchange::begin_stream(http::Response head) {
  stamp(head);
  inner_->begin_stream(std::move(head));
}

void StampedExchange::end() {
  let_go();
  inner_->end();
}

}  // namespace deepwell
