// SPDX-License-Identifier: Apache-2.0
// POST /v1/responses. Source: OpenAI API reference, "Create a model response".
#include <fmt/format.h>

#include "server/app/responses_dialect.h"

namespace deepwell {
namespace {

void responses(const Call& call) {
  ApiResult<ResponsesRequest> parsed = parse_responses_request(call.take_body());
  if (!parsed) return call.reply_error(parsed.error());
  std::vector<Message>& messages = parsed->request.chat.messages;
  if (!parsed->previous.empty()) {
    auto before = call.service.responses.get(parsed->previous, call.user);
    if (!before) {
      ApiError error;
      error.status = 404;
      error.param = "previous_response_id";
      error.code = "previous_response_not_found";
      error.message = fmt::format(
          "there is no response '{}' here; it may have been dropped, or sent with "
          "\"store\": false",
          parsed->previous.substr(0, 100));
      return call.reply_error(error);
    }
    messages.insert(messages.begin(), before->messages.begin(), before->messages.end());
  }
  std::vector<Message> conversation = messages;
  if (!parsed->instructions.empty())
    messages.insert(messages.begin(), Message{"system", parsed->instructions});
  Request request = parsed->request;
  answer(call, std::move(request), [&](const Request&, const ServedModel&) {
    return make_responses_dialect(call, std::move(*parsed), std::move(conversation));
  });
}

}  // namespace

Endpoint endpoint_api_responses() { return {"POST", "/v1/responses", Access::kUser, responses}; }

}  // namespace deepwell
