// SPDX-License-Identifier: Apache-2.0
// POST /v1/requests/{id}/answer-now: an answer under way thinks no more. The id is that of its pieces.
#include <fmt/format.h>

#include "server/app/answer.h"

namespace deepwell {
namespace {

void answer_now(const Call& call) {
  const std::string& id = call.request().captured.at("id");
  if (const auto running = call.service.running.find(id, call.user); running != nullptr) {
    running->answer_now();
    return call.reply_json(dump({{"id", id}, {"status", "answering"}}));
  }
  ApiError error;
  error.status = 404;
  error.code = "request_not_found";
  error.message = fmt::format("no answer '{}' is under way here; it may have ended", id.substr(0, 100));
  call.reply_error(error);
}

}  // namespace

Endpoint endpoint_api_answer_now() {
  return {"POST", "/v1/requests/{id}/answer-now", Access::kUser, answer_now};
}

}  // namespace deepwell
