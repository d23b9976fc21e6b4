// SPDX-License-Identifier: Apache-2.0
// POST /tokenize: tokens of a text or of a chat. Fields and answer as vLLM's; llama.cpp's "content" and
// "add_special" are understood too.
#include "server/app/answer.h"
#include "server/app/token_text.h"
#include "server/request/json_reader.h"

namespace deepwell {
namespace {
using nlohmann::json;

void tokenize(const Call& call) {
  const ApiResult<Json> body = parse_body(call.request().body);
  if (!body) return call.reply_error(body.error());
  JsonReader reader(*body, "");
  const std::string name = reader.text("model").value_or("");
  auto text = reader.text("prompt");
  if (const auto content = reader.text("content"); content && !text) text = content;
  const bool is_chat = reader.any("messages") != nullptr;
  bool add_special = reader.flag("add_special_tokens").value_or(true);
  add_special = reader.flag("add_special").value_or(add_special);
  const bool parse_special = reader.flag("parse_special").value_or(true);
  const bool texts = reader.flag("return_token_strs").value_or(false);
  const bool generation_prompt = reader.flag("add_generation_prompt").value_or(true);
  reader.finish();
  if (reader.ok() && text.has_value() == is_chat) {
    reader.fail("prompt", "send either 'prompt' (a string) or 'messages' (a list)");
  }
  if (!reader.ok()) return call.reply_error(reader.error());
  const ApiResult<ServedModel*> found = call.service.model_for_work(name);
  if (!found) return call.reply_error(found.error());
  const ServedModel& model = **found;

  std::vector<Token> tokens;
  if (is_chat) {
    const ApiResult<Request> chat = parse_chat_request(
        Json({{"messages", (*body)["messages"]}}).dump(-1, ' ', false, Json::error_handler_t::replace));
    if (!chat) return call.reply_error(chat.error());
    Conversation conversation = chat->chat;
    conversation.add_generation_prompt = generation_prompt;
    Result<ChatTokens> encoded = encode_chat(model, conversation);
    if (!encoded) return call.reply_error(to_api_error(encoded.error()));
    tokens = std::move(encoded->tokens);
  } else if (add_special && parse_special) {
    tokens = encode_raw(*model.tokenizer, *text);
  } else {
    tokens = model.tokenizer->encode(*text, {.parse_special = parse_special, .add_special = add_special});
  }
  json strings = nullptr;
  if (texts) {
    strings = json::array();
    for (const Token token : tokens)
      strings.push_back(readable_or_bytes(model.tokenizer->token_bytes(token, true)));
  }
  call.reply_json(dump({{"count", tokens.size()},
                        {"max_model_len", model.engine->info().context},
                        {"tokens", std::move(tokens)},
                        {"token_strs", std::move(strings)}}));
}

}  // namespace

Endpoint endpoint_api_tokenize() { return {"POST", "/tokenize", Access::kUser, tokenize}; }

}  // namespace deepwell
