// SPDX-License-Identifier: Apache-2.0
// POST /v1/completions. Source: OpenAI API reference, "Create completion", "The completion object".
#include <map>

#include "server/app/answer.h"
#include "server/app/token_text.h"

namespace deepwell {
namespace {
using nlohmann::json;

class CompletionDialect final : public Dialect {
 public:
  CompletionDialect(const Request& request, const Tokenizer& tokenizer)
      : tokenizer_(tokenizer),
        logprobs_(request.generation.sampling.logprobs >= 0),
        usage_(request.stream_usage) {}

  const char* id_prefix() const override { return "cmpl-"; }

  json whole(const AnswerHead& head, const std::vector<Choice>& choices, const Usage& usage) override {
    json object = object_of(head);
    for (std::size_t i = 0; i < choices.size(); ++i) {
      const int index = static_cast<int>(i);
      object["choices"].push_back({{"index", i},
                                   {"text", choices[i].message.content},
                                   {"logprobs", logprobs_of(index, choices[i].tokens)},
                                   {"finish_reason", finish_name(choices[i].finish.reason)}});
    }
    object["usage"] = to_json(usage);
    return object;
  }

  std::string opening(const AnswerHead& /*head*/, int /*choice*/) override { return {}; }
  std::string piece(const AnswerHead& head, int choice, const TextPiece& piece) override {
    std::string text;
    for (const ReplyEvent& part : piece.events) text += part.text;
    return event(chunk(head, choice, text, logprobs_of(choice, piece.tokens), nullptr));
  }
  std::string closing(const AnswerHead& head, int choice, const GenerationFinish& finish) override {
    return event(chunk(head, choice, "", nullptr, finish_name(finish.reason)));
  }
  std::string ending(const AnswerHead& head, const Usage& usage) override {
    std::string out;
    if (usage_) {
      json object = object_of(head);
      object["usage"] = to_json(usage);
      out = event(object);
    }
    return out + http::sse_event("[DONE]");
  }
  std::string failure(const AnswerHead& /*head*/, const ApiError& error) override {
    return http::sse_event(to_json(error));
  }

 private:
  static std::string event(const json& value) { return http::sse_event(dump(value)); }
  static json object_of(const AnswerHead& head) {
    return {{"id", head.id},
            {"object", "text_completion"},
            {"created", head.created_unix_seconds},
            {"model", head.model},
            {"choices", json::array()}};
  }
  json chunk(const AnswerHead& head, int choice, const std::string& text, json logprobs, json reason) const {
    json object = object_of(head);
    object["choices"].push_back({{"index", choice},
                                 {"text", text},
                                 {"logprobs", std::move(logprobs)},
                                 {"finish_reason", std::move(reason)}});
    if (usage_) object["usage"] = nullptr;
    return object;
  }
  std::string name(Token token) const { return readable_or_bytes(tokenizer_.token_bytes(token, true)); }

  json logprobs_of(int choice, const std::vector<TokenOutput>& tokens) {
    if (!logprobs_) return nullptr;
    json texts = json::array(), values = json::array(), tops = json::array(), offsets = json::array();
    std::size_t& offset = offsets_[choice];  // in characters, from the start of the answer
    for (const TokenOutput& token : tokens) {
      texts.push_back(name(token.token));
      values.push_back(finite(token.logprob.value_or(0)));
      json top = json::object();
      for (const TokenLogprob& one : token.top) top[name(one.token)] = finite(one.logprob);
      tops.push_back(std::move(top));
      offsets.push_back(offset);
      offset += characters_in(tokenizer_.token_bytes(token.token, true));
    }
    return {{"tokens", std::move(texts)},
            {"token_logprobs", std::move(values)},
            {"top_logprobs", std::move(tops)},
            {"text_offset", std::move(offsets)}};
  }

  const Tokenizer& tokenizer_;
  bool logprobs_, usage_;
  std::map<int, std::size_t> offsets_;
};

void completions(const Call& call) {
  ApiResult<Request> request = parse_completion_request(call.take_body());
  if (!request) return call.reply_error(request.error());
  answer(call, std::move(*request),
         [](const Request& given, const ServedModel& model) -> std::unique_ptr<Dialect> {
           return std::make_unique<CompletionDialect>(given, *model.tokenizer);
         });
}

}  // namespace

Endpoint endpoint_api_completions() { return {"POST", "/v1/completions", Access::kUser, completions}; }

}  // namespace deepwell
