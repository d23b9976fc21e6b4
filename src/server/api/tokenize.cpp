// SPDX-License-Identifier: Apache-2.0
// POST /tokenize: tokens of a text or of a chat. Fields and answer as vLLM's; llama.cpp's "content" and
// "add_special" are understood too.
#include "server/app/answer.h"
#include "server/app/token_text.h"
#include "server/request/json_reader.h"

namespace deepwell {
namespace {
using nlohmann::json;

struct Wanted {
  std::optional<std::string> text;  ///< or else the chat
  Conversation chat;
  bool add_special = true, parse_special = true, strings = false;
};

void write_tokens(const Call& call, const ServedModel& model, const Wanted& wanted) {
  std::vector<Token> tokens;
  if (!wanted.text) {
    Result<ChatTokens> encoded = encode_chat(model, wanted.chat);
    if (!encoded) return call.reply_error(to_api_error(encoded.error()));
    tokens = std::move(encoded->tokens);
  } else if (wanted.add_special && wanted.parse_special) {
    tokens = encode_raw(*model.tokenizer, *wanted.text);
  } else {
    tokens = model.tokenizer->encode(
        *wanted.text, {.parse_special = wanted.parse_special, .add_special = wanted.add_special});
  }
  json strings = nullptr;
  if (wanted.strings) {
    strings = json::array();
    for (const Token token : tokens)
      strings.push_back(readable_or_bytes(model.tokenizer->token_bytes(token, true)));
  }
  call.reply_json(dump({{"count", tokens.size()},
                        {"max_model_len", model.engine->info().context},
                        {"tokens", std::move(tokens)},
                        {"token_strs", std::move(strings)}}));
}

void tokenize(const Call& call) {
  const ApiResult<Json> body = parse_body(call.request().body);
  if (!body) return call.reply_error(body.error());
  JsonReader reader(*body, "");
  const std::string name = reader.text("model").value_or("");
  Wanted wanted;
  wanted.text = reader.text("prompt");
  if (const auto content = reader.text("content"); content && !wanted.text) wanted.text = content;
  const bool is_chat = reader.any("messages") != nullptr;
  wanted.add_special = reader.flag("add_special_tokens").value_or(true);
  wanted.add_special = reader.flag("add_special").value_or(wanted.add_special);
  wanted.parse_special = reader.flag("parse_special").value_or(true);
  wanted.strings = reader.flag("return_token_strs").value_or(false);
  const bool generation_prompt = reader.flag("add_generation_prompt").value_or(true);
  reader.finish();
  if (reader.ok() && wanted.text.has_value() == is_chat) {
    reader.fail("prompt", "send either 'prompt' (a string) or 'messages' (a list)");
  }
  if (!reader.ok()) return call.reply_error(reader.error());
  if (is_chat) {
    ApiResult<Request> chat = parse_chat_request(
        Json({{"messages", (*body)["messages"]}}).dump(-1, ' ', false, Json::error_handler_t::replace));
    if (!chat) return call.reply_error(chat.error());
    wanted.chat = std::move(chat->chat);
    wanted.chat.add_generation_prompt = generation_prompt;
  }
  with_model(call, {name}, [call, wanted = std::move(wanted)](const ModelUse& model) {
    write_tokens(call, *model, wanted);
  });
}

}  // namespace

Endpoint endpoint_api_tokenize() { return {"POST", "/tokenize", Access::kUser, tokenize}; }

}  // namespace deepwell
