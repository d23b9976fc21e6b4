// SPDX-License-Identifier: Apache-2.0
// POST /v1/chat/completions. Source: OpenAI API reference, "Create chat completion", "The chat completion
// chunk object".
#include "server/app/answer.h"
#include "server/app/token_text.h"

namespace deepwell {
namespace {
using nlohmann::json;

class ChatDialect final : public Dialect {
 public:
  ChatDialect(const Request& request, const Tokenizer& tokenizer)
      : tokenizer_(tokenizer),
        logprobs_(request.generation.sampling.logprobs >= 0),
        usage_(request.stream_usage) {}

  const char* id_prefix() const override { return "chatcmpl-"; }

  json whole(const AnswerHead& head, const std::vector<Choice>& choices, const Usage& usage) override {
    json object = object_of(head, "chat.completion");
    for (std::size_t i = 0; i < choices.size(); ++i) {
      object["choices"].push_back(
          {{"index", i},
           {"message", {{"role", "assistant"}, {"content", choices[i].text}, {"refusal", nullptr}}},
           {"logprobs", logprobs_ ? logprobs_of(choices[i].tokens) : json(nullptr)},
           {"finish_reason", finish_name(choices[i].finish.reason)}});
    }
    object["usage"] = to_json(usage);
    return object;
  }

  json opening(const AnswerHead& head, int choice) override {
    return chunk(head, choice, {{"role", "assistant"}, {"content", ""}}, nullptr, nullptr);
  }
  json piece(const AnswerHead& head, int choice, const TextPiece& piece) override {
    return chunk(head, choice, {{"content", piece.text}},
                 logprobs_ ? logprobs_of(piece.tokens) : json(nullptr), nullptr);
  }
  json closing(const AnswerHead& head, int choice, const GenerationFinish& finish) override {
    return chunk(head, choice, json::object(), nullptr, finish_name(finish.reason));
  }
  json usage(const AnswerHead& head, const Usage& usage) override {
    json object = object_of(head, "chat.completion.chunk");
    object["usage"] = to_json(usage);
    return object;
  }

 private:
  static json object_of(const AnswerHead& head, const char* kind) {
    return {{"id", head.id},
            {"object", kind},
            {"created", head.created_unix_seconds},
            {"model", head.model},
            {"choices", json::array()}};
  }
  json chunk(const AnswerHead& head, int choice, json delta, json logprobs, json reason) const {
    json object = object_of(head, "chat.completion.chunk");
    object["choices"].push_back({{"index", choice},
                                 {"delta", std::move(delta)},
                                 {"logprobs", std::move(logprobs)},
                                 {"finish_reason", std::move(reason)}});
    if (usage_) object["usage"] = nullptr;
    return object;
  }
  json one(Token token, float logprob) const {
    const std::string_view bytes = tokenizer_.token_bytes(token, true);
    return {{"token", readable(bytes)}, {"logprob", finite(logprob)}, {"bytes", bytes_of(bytes)}};
  }
  json logprobs_of(const std::vector<TokenOutput>& tokens) const {
    json content = json::array();
    for (const TokenOutput& token : tokens) {
      json entry = one(token.token, token.logprob.value_or(0));
      entry["top_logprobs"] = json::array();
      for (const TokenLogprob& top : token.top) entry["top_logprobs"].push_back(one(top.token, top.logprob));
      content.push_back(std::move(entry));
    }
    return {{"content", std::move(content)}, {"refusal", nullptr}};
  }

  const Tokenizer& tokenizer_;
  bool logprobs_, usage_;
};

void chat_completions(const Call& call) {
  ApiResult<Request> request = parse_chat_request(call.take_body());
  if (!request) return call.reply_error(request.error());
  answer(call, std::move(*request),
         [](const Request& given, const Tokenizer& tokenizer) -> std::unique_ptr<Dialect> {
           return std::make_unique<ChatDialect>(given, tokenizer);
         });
}

}  // namespace

Endpoint endpoint_api_chat_completions() {
  return {"POST", "/v1/chat/completions", Access::kUser, chat_completions};
}

}  // namespace deepwell
