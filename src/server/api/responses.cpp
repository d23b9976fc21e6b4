// SPDX-License-Identifier: Apache-2.0
// POST /v1/responses. Source: OpenAI API reference, "Create a model response".
#include <fmt/format.h>

#include "server/app/responses_dialect.h"
#include "server/app/stored.h"

namespace deepwell {
namespace {

/// Keeps the request; its answer is made by a call of this server's own, which has the answer's id.
void take(const Call& call, const std::string& body, const ResponsesRequest& request) {
  Background* const background = background_of(call);
  if (background == nullptr) return;
  AnswerHead head;
  head.id = "resp_" + random_id();
  head.created_unix_seconds = unix_seconds_now();
  head.model = request.request.model;
  const nlohmann::json object = response_object(request, head, "queued");
  if (const Status taken = background->add(call.user, body, object); !taken)
    return call.reply_error(to_api_error(taken.error()));
  call.reply_json(dump(object));
}

/// The stream's first event, and its last: the answer never began.
std::string error_event(const ApiError& error) {
  const auto or_null = [](const std::string& text) {
    return text.empty() ? nlohmann::json(nullptr) : nlohmann::json(text);
  };
  return dump({{"type", "error"},
               {"code", or_null(error.code)},
               {"message", error.message},
               {"param", or_null(error.param)},
               {"sequence_number", 0}});
}

void responses(const Call& call) {
  const std::string body = call.take_body();
  ApiResult<ResponsesRequest> parsed = parse_responses_request(body);
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
  if (parsed->background && call.answer_id.empty()) return take(call, body, *parsed);
  std::vector<Message> conversation = messages;
  if (!parsed->instructions.empty())
    messages.insert(messages.begin(), Message{"system", parsed->instructions});
  Request request = parsed->request;
  answer(
      call, std::move(request),
      [call, wanted = std::move(*parsed), conversation = std::move(conversation)](
          const Request&, const ServedModel&) { return make_responses_dialect(call, wanted, conversation); });
}

}  // namespace

Endpoint endpoint_api_responses() {
  return {"POST", "/v1/responses", Access::kUser, responses, to_json, error_event};
}

}  // namespace deepwell
