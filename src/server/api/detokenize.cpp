// SPDX-License-Identifier: Apache-2.0
// POST /detokenize: the text of tokens. The answer has it as vLLM's "prompt" and as llama.cpp's "content".
#include <fmt/format.h>

#include "server/app/answer.h"
#include "server/app/token_text.h"
#include "server/request/json_reader.h"

namespace deepwell {
namespace {
using nlohmann::json;

void write_text(const Call& call, const Tokenizer& tokenizer, const Json& tokens) {
  std::string bytes;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const Json& token = tokens[i];
    if (!token.is_number_integer() || token < 0 || token >= tokenizer.size()) {
      return call.reply_error(invalid_field(
          "tokens", fmt::format("'tokens[{}]' must be an integer from 0 to {}", i, tokenizer.size() - 1)));
    }
    bytes += tokenizer.token_bytes(token.get<Token>(), true);
  }
  const std::string text = readable(bytes);
  call.reply_json(dump({{"prompt", text}, {"content", text}}));
}

void detokenize(const Call& call) {
  const ApiResult<Json> body = parse_body(call.request().body);
  if (!body) return call.reply_error(body.error());
  JsonReader reader(*body, "");
  const std::string name = reader.text("model").value_or("");
  const Json* tokens = reader.array("tokens");
  if (reader.ok() && tokens == nullptr) reader.fail("tokens", "'tokens' must be a list of token ids");
  reader.finish();
  if (!reader.ok()) return call.reply_error(reader.error());
  with_model(call, {name},
             [call, list = *tokens](const ModelUse& model) { write_text(call, *model->tokenizer, list); });
}

}  // namespace

Endpoint endpoint_api_detokenize() { return {"POST", "/detokenize", Access::kUser, detokenize}; }

}  // namespace deepwell
