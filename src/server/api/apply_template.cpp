// SPDX-License-Identifier: Apache-2.0
// POST /apply-template: a chat as the text that the model would read. Answer as llama.cpp's: {"prompt": ...}.
#include "server/app/answer.h"
#include "server/app/token_text.h"

namespace deepwell {
namespace {

void apply_template(const Call& call) {
  ApiResult<Request> request = parse_chat_request(call.take_body());
  if (!request) return call.reply_error(request.error());
  const ModelWish wish{request->model};  // before the request moves away
  with_model(call, wish, [call, request = std::move(*request)](const ModelUse& model) {
    const Result<ChatTokens> chat = encode_chat(*model, request.chat);
    if (!chat) return call.reply_error(to_api_error(chat.error()));
    std::string bytes;
    for (const Token token : chat->tokens)
      bytes += model->tokenizer->token_bytes(token, /*show_control=*/true);
    call.reply_json(dump({{"prompt", readable(bytes)}}));
  });
}

}  // namespace

Endpoint endpoint_api_apply_template() { return {"POST", "/apply-template", Access::kUser, apply_template}; }

}  // namespace deepwell
