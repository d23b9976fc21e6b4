// SPDX-License-Identifier: Apache-2.0
// POST /v1/messages/count_tokens. Source: Anthropic API reference, "Count tokens in a Message".
#include "server/app/answer.h"
#include "server/app/anthropic.h"

namespace deepwell {
namespace {

void count_tokens(const Call& call) {
  ApiResult<Request> request = parse_messages_request(call.take_body(), /*counting=*/true);
  if (!request) return call.reply_error(request.error());
  const ModelWish wish{request->model};  // before the request moves away
  with_model(call, wish, [call, request = std::move(*request)](const ModelUse& model) {
    const Result<ChatTokens> chat = encode_chat(*model, request.chat);
    if (!chat) return call.reply_error(to_api_error(chat.error()));
    call.reply_json(dump({{"input_tokens", chat->tokens.size()}}));
  });
}

}  // namespace

Endpoint endpoint_api_count_tokens() {
  return {"POST", "/v1/messages/count_tokens", Access::kUser, count_tokens, anthropic_error};
}

}  // namespace deepwell
